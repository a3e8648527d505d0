package mmdb_test

import (
	"testing"

	"mmdb"
)

// A database whose commits are Lazy gives the free end of its file back while it is open, as one with durable commits does.
func TestLazyCommitsCutTheFile(t *testing.T) {
	opts := quick
	opts.Durability = mmdb.Lazy
	db := open(t, opts)
	db.fill(20_000, 10_000, 500)
	full := db.size()
	db.update(func(b *mmdb.Bucket) error { _, err := b.DeleteRange(nil, nil); return err })
	for i := 0; i < 1000 && db.size() > full/2; i++ {
		db.put("a", "b")
		if i%10 == 0 {
			must(t, db.Sync())
		}
	}
	if size := db.size(); size > full/2 {
		t.Errorf("the file had %d bytes, and has %d after all was deleted; %d are in use", full, size, db.DB.Stats().HighWater*4096)
	}
}
