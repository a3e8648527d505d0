//go:build !race

package fuzz

// raceEnabled says that the race detector is off.
const raceEnabled = false
