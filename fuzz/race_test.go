//go:build race

package fuzz

// raceEnabled makes tests do a tenth of their work: they run ten times slower.
const raceEnabled = true
