package mmdb

import "mmdb/tx"

// Types of Salvage, declared in package tx.
type (
	// SalvageOptions says how Salvage goes about it. The zero value is a good default.
	SalvageOptions = tx.SalvageOptions
	// SalvageReport is what Salvage did.
	SalvageReport = tx.SalvageReport
	// SalvageLoss is one thing that could not be recovered.
	SalvageLoss = tx.SalvageLoss
)

// ErrNotEmpty is returned by Salvage when dst holds something.
var ErrNotEmpty = tx.ErrNotEmpty

// Salvage recovers what can be recovered of the damaged database file at path damaged, which is only read, and puts it into
// dst, which must be empty. It works without any meta page. Every key in a leaf that can be read and is current comes
// back with its value; no deleted or replaced version comes back: what can't be told is left out, and reported. Buckets
// whose name is lost go to lost+found, under the number of their tree.
//
// It needs memory of about 48 bytes for each page of the file, 200 bytes and the name for each bucket that has pages of its
// own, and the largest value; and where commit records are missing, two keys for each leaf around a gap.
//
// An error means that nothing, or not everything that is there, was recovered: ErrInvalid for a file that is no database,
// ErrCorrupt for one in which nothing can be read, ErrVersion, ErrTimeout, ErrNotEmpty, errors of dst, and the system's. A
// loss is no error: see SalvageReport.Complete.
func Salvage(damaged string, dst *DB, opts SalvageOptions) (SalvageReport, error) {
	return tx.Salvage(damaged, dst.store, opts)
}
