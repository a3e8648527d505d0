// Package fusetier tests mmdb on a device that fails for real: a file that a FUSE server in this process shows, under a
// loop device, with an ext4 in it. The server makes flushes and writes fail with EIO, loses what was not flushed, and
// lets the power fail; the kernel does the rest, as it would with a bad disk. It is a module of its own, so that programs
// that use mmdb don't depend on a FUSE library. It needs Linux and root:
//
//	MMDB_TIERS=1 go test -v
//
// A write that the device refuses is one that the kernel must report to whoever flushes the file. The tier tries that first, with a plain file. The
// loop device keeps it to itself (Linux 6.18) if FUSE hands a large write over in parts and another part than the first fails: see maxWrite.
//
// Half of the databases stand in blocks that were written before, half in new ones. On ext4 the second half are the harder: what is written
// once more to new blocks whose first write failed is lost, although write and fdatasync report success. The library must drop such pages from
// the cache when it opens the file again on the same mount.
package fusetier
