//go:build race

package mmdb_test

// raceEnabled makes tests do a tenth of their work: they run ten times slower.
const raceEnabled = true
