//go:build !unix

package main

import "testing"

func makeFifo(t *testing.T, _ string) { t.Skip("this system has no FIFOs in its file system") }
