// Package fusetier tests mmdb on a device that fails for real: a file that a FUSE server in this process shows, under a
// loop device, with an ext4 in it. The server makes flushes and writes fail with EIO, loses what was not flushed, and
// lets the power fail; the kernel does the rest, as it would with a bad disk. It is a module of its own, so that programs
// that use mmdb don't depend on a FUSE library. It needs Linux and root:
//
//	MMDB_TIERS=1 go test -v
//
// Half of the databases stand in blocks that were written before: they are opened again after a failure on the same mount, too.
// The others stand in new blocks and are mounted anew first, because ext4 loses what is written once more to new blocks whose
// first write failed, although write and fdatasync report success. MMDB_TIER_STRICT=1 lets that happen.
package fusetier
