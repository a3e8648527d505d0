//go:build !unix

package main

import "testing"

// asNobody calls fn: here nobody may write to a file that is only for reading.
func asNobody(_ *testing.T, fn func()) { fn() }
