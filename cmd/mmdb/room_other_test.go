//go:build !linux

package main

import "testing"

func withoutRoom(t *testing.T, _ func()) { t.Skip("limits of file sizes are tried on Linux only") }
