// Package fusetier tests mmdb on a device that fails for real: a file that a FUSE server in this process shows, under a
// loop device, with an ext4 in it. The server makes flushes and writes fail with EIO, loses what was not flushed, and
// lets the power fail; the kernel does the rest, as it would with a bad disk. It is a module of its own, so that programs
// that use mmdb don't depend on a FUSE library. It needs Linux and root:
//
//	MMDB_TIERS=1 go test -v
//
// A write that the device refuses is one that a flush of the file must report. The tier tries that first, with a plain file, because kernels (Linux
// 6.18) keep two things to themselves: the loop device, that only the first part of a large write was done, so other parts never fail here (see
// maxWrite); and ext4, that its journal could not be written, if somebody else was told, which mmapfile finds out. So in a quarter of
// the cycles somebody else flushes the file system all the time.
//
// Half of the databases stand in blocks that were written before, half in new ones. On ext4 the second half are the harder: what is written
// once more to new blocks whose first write failed is lost, although write and fdatasync report success. The library must drop such pages from
// the cache when it opens the file again on the same mount.
package fusetier
