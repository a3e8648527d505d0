package mmdb

import "mmdb/tx"

// Types of DB.Backup, declared in package tx.
type (
	// BackupOptions says how DB.Backup goes about it. The zero value makes a new file of mode 0600.
	BackupOptions = tx.BackupOptions
	// BackupReport is what DB.Backup did.
	BackupReport = tx.BackupReport
)

// ErrSameFile is returned when a copy would replace the database itself.
var ErrSameFile = tx.ErrSameFile

// Backup writes the newest commit to a file at path: a whole database, while transactions go on. Every page is verified in the
// bytes that are written. The file is complete and durable before it takes the name, so there never is half a backup; after
// an error there is none. To restore one, open it, or copy it to where it is needed.
//
// It is one read transaction, however long it takes: pages that it sees are not used again meanwhile. Tx.CopyFile does the
// same for what a transaction sees, and Tx.WriteTo writes it to a stream. Errors: ErrSameFile, fs.ErrExist, ErrCorrupt, that
// of BackupOptions.Progress, and the system's.
func (db *DB) Backup(path string, o BackupOptions) (BackupReport, error) {
	return db.opened().Backup(path, o)
}
