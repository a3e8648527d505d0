// Command mmdb looks into mmdb databases, changes them, and moves data in and
// out of them. Run "mmdb help" for the commands.
//
// Rules that hold for every command:
//
//   - A command that reads opens the file read-only and never creates or writes
//     it, while other programs read and write it. It holds a snapshot no longer
//     than it must. put, load and import create a file or a bucket only with
//     --create; files are created with mode 0600.
//   - Keys and values are shown as text: printable characters as they are, a
//     backslash as \\, everything else as \n, \r, \t or \xNN. The same form is
//     read on the command line. --format hex, base64 or raw changes both
//     directions at once.
//   - A bucket is named by its path, a/b/c; inside a name a slash is \/.
//   - With --json, one object is written, or one object a line where there are
//     many. Keys and values in it are strings in the form that --format names.
//   - An error is one line on standard error. The exit status is 0 for success,
//     1 for an error, 2 for wrong usage, 3 when the file is in use by another
//     process, 4 when the file is damaged and 130 after an interrupt. A reader
//     of standard output that goes away ends the command quietly, but for backup,
//     whose output is of use as a whole only.
//   - A file that a command makes appears under its name as a whole or not at all,
//     and replaces another one only with --force.
//   - On a terminal, work that takes a while shows a progress bar on standard
//     error, and what is to be typed is asked for.
//   - MMDB_TRACE=1 in the environment adds the stack to an internal error.
package main
