package fusetier

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"

	"mmdb/fuzz"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// A Fault is what goes wrong with a Device; the zero value is nothing.
type Fault struct {
	Writes bool // writes fail, not flushes
	After  int  // how many flushes or writes work before
	Times  int  // how many fail
	Forget bool // what a failed flush should have made durable is gone
}

// A Device is a disk with a volatile cache. It is the content of a file that FUSE shows.
type Device struct {
	fs.Inode

	mu    sync.Mutex
	disk  fuzz.BlockDevice
	view  []byte // what a reader gets: what is durable and what is in the cache
	down  bool   // the power is off
	rest  int64  // where the rest of a write begins that came in part; 0 is none
	fault Fault
}

// maxWrite bounds a write, in bytes: the kernel hands over what is longer in parts. The loop device takes a write of which only the first
// part was done for a whole one (Linux 6.18), and nobody ever learns of it. So a rest does not fail: a failed write is one that
// the kernel knows to have failed.
const maxWrite = 128 << 10

// flushFlag marks a flush in the entries of a BlockDevice.
const flushFlag = 1

// NewDevice returns a device that holds image.
func NewDevice(image []byte) *Device {
	return &Device{disk: fuzz.BlockDevice{Durable: image, Untorn: 4096}, view: slices.Clone(image)}
}

// SetFault makes the device fail as f says.
func (d *Device) SetFault(f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = f
}

// Left returns how many more flushes or writes will fail.
func (d *Device) Left() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fault.Times
}

// PowerOff loses what was not flushed, or some of it, as rng decides. Until PowerOn, everything fails.
func (d *Device) PowerOff(rng *rand.Rand) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.view = d.disk.Crash(d.view, rng)
	copy(d.disk.Durable, d.view)
	d.disk.Pending = nil
	d.down = true
}

// PowerOn makes the device work again, without a fault.
func (d *Device) PowerOn() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down, d.fault = false, Fault{}
}

// failsWrite reports whether a write of n bytes at off fails now. The caller holds d.mu.
func (d *Device) failsWrite(off int64, n int) bool {
	rest := d.rest != 0 && off == d.rest
	d.rest = 0
	if d.down || !rest && d.fails(true) {
		return true
	}
	if n == maxWrite {
		d.rest = off + maxWrite
	}
	return false
}

// fails reports whether a write or flush fails now. The caller holds d.mu.
func (d *Device) fails(write bool) bool {
	f := &d.fault
	switch {
	case d.down:
		return true
	case f.Times == 0 || f.Writes != write:
		return false
	case f.After > 0:
		f.After--
		return false
	}
	f.Times--
	if f.Forget {
		d.disk.Pending = nil
		copy(d.view, d.disk.Durable)
	}
	return true
}

var _ = (fs.NodeOpener)((*Device)(nil))
var _ = (fs.NodeReader)((*Device)(nil))
var _ = (fs.NodeWriter)((*Device)(nil))
var _ = (fs.NodeFsyncer)((*Device)(nil))
var _ = (fs.NodeGetattrer)((*Device)(nil))

// Open lets the kernel forget what it knew of the content.
func (d *Device) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, 0, 0
}

// Getattr tells the size.
func (d *Device) Getattr(ctx context.Context, f fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode = 0o600
	out.Size = uint64(len(d.disk.Durable))
	return 0
}

// Read returns what was written last, durable or not.
func (d *Device) Read(ctx context.Context, f fs.FileHandle, dst []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down {
		return nil, syscall.EIO
	}
	n := 0
	if off < int64(len(d.view)) {
		n = copy(dst, d.view[off:])
	}
	return fuse.ReadResultData(dst[:n]), 0
}

// Write puts data into the cache.
func (d *Device) Write(ctx context.Context, f fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failsWrite(off, len(data)) || d.disk.Apply(&fuzz.BlockEntry{Offset: off, Data: slices.Clone(data)}) != nil {
		return 0, syscall.EIO
	}
	copy(d.view[off:], data)
	return uint32(len(data)), 0
}

// Fsync is a flush.
func (d *Device) Fsync(ctx context.Context, f fs.FileHandle, flags uint32) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fails(false) || d.disk.Apply(&fuzz.BlockEntry{Flags: flushFlag}) != nil {
		return syscall.EIO
	}
	return 0
}

// deviceName is the name of the device's file.
const deviceName = "disk"

// Serve shows d as a file in the folder dir.
func Serve(dir string, d *Device) (*fuse.Server, error) {
	root := &fs.Inode{}
	return fs.Mount(dir, root, &fs.Options{
		MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "mmdb", DisableXAttrs: true, MaxWrite: maxWrite},
		OnAdd: func(ctx context.Context) {
			root.AddChild(deviceName, root.NewPersistentInode(ctx, d, fs.StableAttr{Mode: syscall.S_IFREG}), true)
		},
	})
}
