//go:build !unix

package tx

import "testing"

// hugeSlice returns n bytes.
func hugeSlice(_ *testing.T, n int) []byte { return make([]byte, n) }
