// Package mmapfile is what a store needs of mmap(2): files that are read through memory and written
// by system calls, memory that belongs to no file, and memory that processes share.
//
// # Three uses of mmap
//
// A file mapping shows a file as memory. Open a File, and Map it: the Mapping reads as the file
// does, without copying and without a system call. It grows with the file and never moves, so
// slices of it stay good as long as it is mapped. MapFile maps any part of any file, to be read or
// stored to, shared or private.
//
// An anonymous mapping is memory of its own, outside the garbage collector's sight. Anonymous gives one piece; an
// Arena cuts pieces into page-sized blocks and uses them again.
//
// A shared mapping is memory that several processes see: OpenShared, on a file that serves as its name, or a Mapping that is
// Writable, which can grow. Words shows it as words for atomic operations.
//
// # Rules
//
// A file under a Mapping is written by File.WriteAt, in vectors, and made durable by Mapping.Sync
// or File.Sync. It shows in the mapping at once. It is never stored to through the mapping, which is
// read-only: a store dirties as much as the kernel keeps in one piece, reads from the device what it is
// about to overwrite, and meets a full disk as a signal.
//
// A Mapping reserves address space (nothing but numbers: 1 TiB by default, less where many are open) and maps the file into
// its beginning, in steps that double. If a step fails, what the kernel did to that range is not
// known, so the mapping is closed for growth (ErrReserved) and never touches the range again.
//
// All steps must be one area to the kernel, because msync flushes the device once per area. So
// advice and locks in memory always cover the whole mapping; WillNeed and Populate, which leave no
// trace in an area, take parts. Mapping.Areas lets a test hold this.
//
// The system's pages may have 4, 16 or 64 KiB. Mappings are aligned to them by this package; offsets and lengths
// that a caller gives are bytes and need no alignment.
//
// What lies beyond the end of the file faults, even where it is mapped: after Truncate, by whoever
// does it, and where the device can't be read. Mapping.Catch turns that into an error; FaultAddr and
// Mapping.ReadFault are its parts. A write through a read-only slice faults as well, but is the
// caller's bug and stays a panic.
//
// # The seam
//
// Every operation that changes or flushes a file (create, write, size change, allocation, punch, flush of file,
// mapping or directory, rename, remove) goes through the Seam in Options, as an Op. A test records
// them there, makes the n-th one fail, or cuts a write short. Interrupted and short operations are
// continued. Flushes are never repeated: after a failed one the kernel marks pages as clean, and
// the next would succeed without the data.
//
// # Locks
//
// A File has two: presence and the writer, each shared or exclusive. They are locks of bytes far beyond the end of the file
// (open-file-description locks), so they hold between processes, between two opens in one process, and
// through any links; they end with the File or the process. Waiting has a timeout. LockByte locks any other byte, for what
// the caller likes, and ByteHeld asks: so processes can leave word of themselves that ends when they do.
//
// # Errors
//
// A failed system call is an *Error: operation, path, the system's error (found by errors.Is) and what
// it means here. Misuse is an error with EINVAL; a block freed twice in an Arena is a panic.
//
// # Systems
//
// Linux is served best. On darwin a flush is F_FULLFSYNC, on freebsd fdatasync, of the whole file both times. Freebsd
// has no open-file-description locks: the writer needs the exclusive presence lock there, and there is no LockByte. On other
// systems the package compiles, and Open returns ErrUnsupported.
//
// The package knows nothing of pages, transactions or formats: it deals in bytes and offsets.
package mmapfile
