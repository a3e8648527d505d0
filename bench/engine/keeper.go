package engine

// A keeper copies bytes for engines that go on using what they are given until the transaction ends. Its memory is used again
// for the next one.
type keeper struct {
	blocks [][]byte
	next   int    // the block after the one in use
	room   []byte // of the block in use
}

// keeperBlock is the least size of a block in bytes.
const keeperBlock = 256 << 10

// reset ends the life of all copies.
func (k *keeper) reset() { k.next, k.room = 0, nil }

// keep returns a copy of b.
func (k *keeper) keep(b []byte) []byte {
	for len(k.room) < len(b) {
		if k.next == len(k.blocks) {
			k.blocks = append(k.blocks, make([]byte, max(keeperBlock, len(b))))
		}
		k.room = k.blocks[k.next]
		k.next++
	}
	n := copy(k.room, b)
	c := k.room[:n:n]
	k.room = k.room[n:]
	return c
}
