package tx

import (
	"bytes"
	"fmt"

	"mmdb/page"
)

// sector is the smallest piece of a write that is there as a whole or not at all after a crash, in bytes.
const sector = 512

// isNew reports whether the file holds nothing yet: it is empty or all zeros, or creation was cut short before it wrote a
// meta. A file whose meta slots are zero but that has anything else behind them is not ours to overwrite: ErrInvalid.
func (st *Store) isNew(size int64) (bool, error) {
	if st.metas != nil {
		return false, nil
	}
	buf := make([]byte, sector) // of a database that is all there is to read
	for at := int64(0); at < size; {
		chunk := buf[:min(size-at, int64(len(buf)))]
		if _, err := st.file.ReadAt(chunk, at); err != nil {
			return false, fmt.Errorf("read: %w", err)
		}
		for i := 0; i < len(chunk); i += sector {
			s := chunk[i:min(i+sector, len(chunk))]
			switch off := at + int64(i); {
			case isZero(s) || fromCreation(off, s):
			case off < page.MetaSlots*page.MetaStride:
				return false, nil // whether it is a database will be seen
			default:
				return false, fmt.Errorf("%w: its first 48 KiB are zeros, and there is other data behind them", ErrInvalid)
			}
		}
		if at += int64(len(chunk)); at == sector {
			buf = make([]byte, 64<<10)
		}
	}
	return true, nil
}

// fromCreation reports whether creation may have written sector s at byte off: it writes two pages, which have all their
// bytes in their first sectors.
func fromCreation(off int64, s []byte) bool {
	if len(s) < page.HeaderSize || page.Born(s) != firstCommit {
		return false
	}
	for size := page.MinSize; size <= page.MaxSize; size *= 2 {
		no := page.Number(s)
		first := page.FirstPage(size)
		if (no == first || no == first+1) && off == int64(no)*int64(size) {
			return true
		}
	}
	return false
}

// zeros is compared with, and what chunks of the file are filled with.
var zeros [64 << 10]byte

func isZero(b []byte) bool { return bytes.Equal(b, zeros[:len(b)]) }
