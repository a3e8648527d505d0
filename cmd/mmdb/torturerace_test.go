//go:build race

package main

// raceEnabled makes the run of mmdb torture short.
const raceEnabled = true
