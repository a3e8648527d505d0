//go:build !race

package mmdb_test

// raceEnabled says that the race detector is off.
const raceEnabled = false
