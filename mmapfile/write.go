package mmapfile

import (
	"io"
	"syscall"
)

const (
	maxVector = 1024    // IOV_MAX on every system served
	maxWrite  = 1 << 30 // bytes of one call: some systems refuse 2 GiB

	// The page cache takes what one call writes into as few pieces of memory as it can (folios, of up to 2 MiB), and each later
	// write of a page, and its way to the device, costs time for every block of the piece that it lies in. On ext4 a write of
	// 4 KiB took 0.55 µs in a file that was written 4 to 32 KiB at a time, 0.7 at 128 KiB, and 2.3 at 1 MiB. So a call of WriteAt takes
	// no further buffer when it has so many bytes: it costs 0.05 µs for each 4 KiB of them.
	enough    = 32 << 10
	wholePage = 4096 // a call that ends inside one would make the next write to it twice
)

// WriteAt writes the buffers one after the other to the file from byte off on, a large buffer with one call, small ones with one for
// each 32 KiB. Short writes and EINTR are continued. After an error some first part of
// the bytes may be written. The buffers and the slice of them are not kept and not changed.
func (f *File) WriteAt(bufs [][]byte, off int64) error { return f.write(bufs, off, enough) }

// WriteLarge is WriteAt with as few calls as can be, for what will be read and replaced in large pieces, as it is written: that is faster
// then, because the page cache has it in fewer pieces of memory.
func (f *File) WriteLarge(bufs [][]byte, off int64) error { return f.write(bufs, off, maxWrite) }

// write writes bufs with calls that take no further buffer when they have enough bytes.
func (f *File) write(bufs [][]byte, off, enough int64) error {
	op := Op{Kind: OpWrite, Path: f.path, Offset: off}
	var split [][]byte // own copy of bufs, made when a buffer was written in part
	tries := 0
	for {
		bufs = skipEmpty(bufs)
		if len(bufs) == 0 {
			return nil
		}
		op.Data, op.Length = window(bufs, enough)
		n, err := f.seam.through(op, f.do)
		n = max(n, 0) // a failed call says -1
		if int64(n) > op.Length {
			panic("mmapfile: invariant: more bytes written than given")
		}
		if n > 0 {
			op.Offset += int64(n)
			tries = 0
			bufs = tail(bufs, n, &split)
		}
		switch {
		case interrupted(err) && tries < maxInterrupts:
			tries++
		case err != nil:
			return wrap(opWrite, f.path, err)
		case n == 0:
			return wrap(opWrite, f.path, io.ErrShortWrite)
		}
	}
}

// skipEmpty drops empty buffers from the front.
func skipEmpty(bufs [][]byte) [][]byte {
	for len(bufs) > 0 && len(bufs[0]) == 0 {
		bufs = bufs[1:]
	}
	return bufs
}

// window returns the buffers that go out with one call, and their bytes.
func window(bufs [][]byte, enough int64) ([][]byte, int64) {
	if len(bufs[0]) > maxWrite {
		return [][]byte{bufs[0][:maxWrite]}, maxWrite
	}
	var sum int64
	for i, b := range bufs {
		if i == maxVector || sum+int64(len(b)) > maxWrite || sum >= enough && sum%wholePage == 0 {
			return bufs[:i], sum
		}
		sum += int64(len(b))
	}
	return bufs, sum
}

// tail returns what is left of bufs after their first n bytes. Only when that ends inside a buffer
// is the slice of buffers copied, once.
func tail(bufs [][]byte, n int, split *[][]byte) [][]byte {
	i := 0
	for n > 0 && n >= len(bufs[i]) {
		n -= len(bufs[i])
		i++
	}
	bufs = bufs[i:]
	if n == 0 {
		return bufs
	}
	if *split == nil {
		*split = append([][]byte(nil), bufs...)
		bufs = *split
	}
	bufs[0] = bufs[0][n:]
	return bufs
}

// Truncate sets the size of the file in bytes. A longer file reads as zeros in its new part, for
// which no blocks are set aside; a mapping of what was cut off faults.
func (f *File) Truncate(size int64) error {
	return f.run(Op{Kind: OpTruncate, Length: size})
}

// Allocate sets blocks aside for [off, off+n), so that writing there can't fail for want of space,
// and makes the file that long if it is shorter. Bytes that were there stay. On a file system that
// can't do that, zeros are written to the part beyond the end of the file, and holes inside stay.
func (f *File) Allocate(off, n int64) error {
	if off < 0 || n <= 0 {
		return invalid(OpAllocate.String(), f.path, "range %d+%d", off, n)
	}
	err := f.run(Op{Kind: OpAllocate, Offset: off, Length: n})
	if err == nil || !isUnsupported(err) {
		return err
	}
	size, err := f.Size()
	if err != nil {
		return err
	}
	return f.fill(max(off, size), off+n)
}

// fill writes zeros to [from, to).
func (f *File) fill(from, to int64) error {
	bufs := [][]byte{make([]byte, enough)}
	for from < to {
		bufs[0] = bufs[0][:min(enough, to-from)]
		if err := f.WriteAt(bufs, from); err != nil {
			return err
		}
		from += int64(len(bufs[0]))
	}
	return nil
}

// Punch gives the blocks of [off, off+n) back to the file system: the range reads as zeros, the
// size stays. ErrUnsupported where the system or the file system can't; then nothing changed.
func (f *File) Punch(off, n int64) error {
	if off < 0 || n <= 0 {
		return invalid(OpPunch.String(), f.path, "range %d+%d", off, n)
	}
	return f.run(Op{Kind: OpPunch, Offset: off, Length: n})
}

// Start lets what was written to [off, off+n) set out for the device, and does not wait for it, so that a later flush has less to do.
// Nothing becomes durable by it. The kernel does the same whenever it likes; where it can't be asked, nothing happens. A
// device that fails meanwhile fails the next flush.
func (f *File) Start(off, n int64) {
	_, _ = f.seam.through(Op{Kind: OpStart, Path: f.path, Offset: off, Length: n}, f.do)
}

// Sync makes all that was written to the file durable, its size too, but not its name (see
// SyncDir). It is never repeated after a failure, not even EINTR: the kernel may have dropped the
// failed pages and would report the next attempt as a success. On ext4 it also fails if the file system has failed
// since, even if all of this file may have been written before.
func (f *File) Sync() error {
	_, err := f.seam.through(Op{Kind: OpSync, Path: f.path}, f.do)
	return wrap("sync", f.path, err)
}

// SyncDir makes the file's name durable: it flushes the directory that holds it, symbolic links
// resolved, or all of the file system where that can't be opened, on Linux. A file system that can't flush directories does so by itself: that is no error.
func (f *File) SyncDir() error {
	_, err := f.seam.through(Op{Kind: OpSyncDir, Path: f.path}, f.do)
	if isErrno(err, syscall.EINVAL) || isUnsupported(err) {
		return nil
	}
	return wrap("sync the directory of", f.path, err)
}
