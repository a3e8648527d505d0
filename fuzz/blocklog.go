package fuzz

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
)

// The format of a log of block writes is that of dm-log-writes, little-endian: sector 0 holds
//
//	0 8  magic
//	8 8  version, 1
//	16 8 number of entries
//	24 4 size of a sector of the log
//
// and each entry is a sector, and then its data:
//
//	0 8  first sector on the device
//	8 8  sectors
//	16 8 flags
//	24 8 length of the data, if the entry is a mark
const (
	blockLogMagic   = 0x6a736677736872
	blockLogVersion = 1

	blockFlush   = 1 // all that was written before is durable
	blockFUA     = 2 // this write is durable
	blockDiscard = 4 // no data
	blockMark    = 8 // not of the device
)

// deviceSector is what sectors of a device are counted in, whatever the log's are.
const deviceSector = 512

// A BlockEntry is an operation of a device, as a BlockLog has it.
type BlockEntry struct {
	Flags  uint64
	Offset int64  // bytes
	Data   []byte // nil for a flush
}

// BlockLogLength returns how many entries a log says that it has. While it is being written, that is up to the last flush.
func BlockLogLength(r io.ReaderAt) (n uint64, sectorSize int64, err error) {
	head := make([]byte, 28)
	if _, err := r.ReadAt(head, 0); err != nil {
		return 0, 0, err
	}
	n, sectorSize = binary.LittleEndian.Uint64(head[16:]), int64(binary.LittleEndian.Uint32(head[24:]))
	switch {
	case binary.LittleEndian.Uint64(head) != blockLogMagic:
		return 0, 0, errors.New("not a log of block writes")
	case binary.LittleEndian.Uint64(head[8:]) != blockLogVersion:
		return 0, 0, errors.New("a log of block writes of another version")
	case sectorSize < deviceSector || sectorSize > 1<<20 || sectorSize&(sectorSize-1) != 0:
		return 0, 0, fmt.Errorf("a log of block writes with sectors of %d bytes", sectorSize)
	}
	return n, sectorSize, nil
}

// maxBlockWrite bounds an entry's data, in bytes.
const maxBlockWrite = 256 << 20

// ReadBlockLog reads a log of block writes.
func ReadBlockLog(r io.ReaderAt) ([]BlockEntry, error) {
	n, size, err := BlockLogLength(r)
	if err != nil {
		return nil, err
	}
	var all []BlockEntry
	head := make([]byte, 32)
	at := size
	for i := range n {
		if _, err := r.ReadAt(head, at); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		at += size
		sector, sectors := binary.LittleEndian.Uint64(head), binary.LittleEndian.Uint64(head[8:])
		e := BlockEntry{Flags: binary.LittleEndian.Uint64(head[16:]), Offset: int64(sector) * deviceSector}
		length := int64(sectors) * deviceSector
		if e.Flags&blockMark != 0 {
			length = int64(binary.LittleEndian.Uint64(head[24:]))
		}
		if sector > 1<<50 || sectors > maxBlockWrite/deviceSector || length < 0 || length > maxBlockWrite {
			return nil, fmt.Errorf("entry %d: %d sectors at %d", i, sectors, sector)
		}
		if length > 0 {
			e.Data = make([]byte, length)
			if e.Flags&blockDiscard == 0 {
				if _, err := r.ReadAt(e.Data, at); err != nil {
					return nil, fmt.Errorf("data of entry %d: %w", i, err)
				}
				at += (length + size - 1) &^ (size - 1)
			}
		}
		all = append(all, e)
	}
	return all, nil
}

// A BlockDevice is a device with a volatile cache, to which the entries of a log are applied.
type BlockDevice struct {
	// Durable is what survives a power failure for sure.
	Durable []byte
	// Pending are the blocks that were written and not flushed, in order. After a power failure each is there or not.
	Pending []BlockEntry
	// Untorn is how many bytes at its beginning are never torn: ext4 trusts a device to write its superblock as a whole.
	Untorn int64
}

// blockSize is how much of a write is there or not as a whole.
const blockSize = 4096

// Apply does what e says.
func (d *BlockDevice) Apply(e *BlockEntry) error {
	if e.Flags&blockMark != 0 {
		return nil
	}
	if e.Offset < 0 || e.Offset+int64(len(e.Data)) > int64(len(d.Durable)) {
		return fmt.Errorf("a write of %d bytes at %d is beyond the device", len(e.Data), e.Offset)
	}
	if e.Flags&blockFlush != 0 {
		for i := range d.Pending {
			putBlock(d.Durable, &d.Pending[i])
		}
		d.Pending = d.Pending[:0]
	}
	if e.Flags&blockFUA != 0 {
		putBlock(d.Durable, e)
		for i := range d.Pending {
			d.overtake(&d.Pending[i], e)
		}
		return nil
	}
	for at, rest := e.Offset, e.Data; len(rest) > 0; {
		n := min(int64(len(rest)), blockSize-at%blockSize)
		d.Pending = append(d.Pending, BlockEntry{Offset: at, Data: rest[:n]})
		at, rest = at+n, rest[n:]
	}
	return nil
}

// overtake keeps the older write p from undoing the durable one e.
func (d *BlockDevice) overtake(p, e *BlockEntry) {
	from, to := max(p.Offset, e.Offset), min(p.Offset+int64(len(p.Data)), e.Offset+int64(len(e.Data)))
	if from < to {
		p.Data = bytes.Clone(p.Data)
		copy(p.Data[from-p.Offset:to-p.Offset], e.Data[from-e.Offset:])
	}
}

func putBlock(device []byte, e *BlockEntry) { copy(device[e.Offset:], e.Data) }

// Crash returns, in dst, what a power failure may leave of d, as rng decides: all that is pending, nothing of it, all but one, one
// alone, or each block or not; and now and then one block torn at sectors.
func (d *BlockDevice) Crash(dst []byte, rng *rand.Rand) []byte {
	dst = append(dst[:0], d.Durable...)
	if len(d.Pending) == 0 {
		return dst
	}
	mode, one, share := rng.IntN(8), rng.IntN(len(d.Pending)), []int{2, 10, 18}[rng.IntN(3)]
	for i := range d.Pending {
		keep := false
		switch mode {
		case 0:
		case 1:
			keep = true
		case 2:
			keep = i != one
		case 3:
			keep = i == one
		case 4:
			keep = i < one
		default:
			keep = rng.IntN(20) < share
		}
		switch {
		case keep:
			putBlock(dst, &d.Pending[i])
		case i == one && mode > 3 && d.Pending[i].Offset >= d.Untorn && rng.IntN(3) == 0:
			tear(dst, &d.Pending[i], rng)
		}
	}
	return dst
}

// tear writes some of the sectors of e.
func tear(device []byte, e *BlockEntry, rng *rand.Rand) {
	for from := 0; from < len(e.Data); from += deviceSector {
		if rng.IntN(2) == 0 {
			copy(device[e.Offset+int64(from):], e.Data[from:min(from+deviceSector, len(e.Data))])
		}
	}
}
