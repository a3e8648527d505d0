// Package quiet keeps the screen library of the command from asking the terminal for its background color when the program starts.
//
// That library asks in an init function, whatever the command is. Nothing here depends on the answer, and the question has a price: a
// terminal that doesn't answer holds up each command for five seconds, and what was typed ahead is read, and lost, while the answer is
// awaited. A terminal named dumb isn't asked. So that is its name until Restore, which package main calls when all that it imports is
// initialized.
//
// This package comes first: of the packages whose imports are initialized Go takes the one whose path sorts first, this one sorts
// before os, and the screen library needs os.
package quiet

import "syscall"

const variable = "TERM"

var term, found = syscall.Getenv(variable)

func init() { _ = syscall.Setenv(variable, "dumb") }

// Restore gives the terminal its name back.
func Restore() {
	if found {
		_ = syscall.Setenv(variable, term)
	} else {
		_ = syscall.Unsetenv(variable)
	}
}
