package page

import "testing"

// TestLowerBoundIsThatOfALinearSearch searches every number of slots that the window holds, and some more, for every head and those beside
// it. What stands behind the slots must not matter.
func TestLowerBoundIsThatOfALinearSearch(t *testing.T) {
	rnd := random(t, 31)
	for n := range windowSlots + 20 {
		b := make([]byte, DefaultSize-HeaderSize)
		for i, behind := 0, byte(rnd.IntN(3)*127); i < len(b); i++ {
			b[i] = behind
			if behind == 127 {
				b[i] = byte(rnd.Uint32())
			}
		}
		head, ask := uint32(rnd.IntN(2)), []uint32{0, 1, 1<<32 - 1}
		for i := range n {
			putSlot(b, i, makeSlot(0, 1, 0, head))
			ask = append(ask, head-1, head, head+1)
			head += rnd.Uint32N(1 << 32 / (windowSlots + 20))
		}
		for _, h := range ask {
			for lo := range min(n+1, 3) {
				want := lo
				for want < n && headAt(b, want) < h {
					want++
				}
				got, guessed, wide := lowerBound(b, lo, n, h), guess(b, lo, n, h), lowerBoundWide(b, lo, n, h)
				if got != want || guessed != want || wide != want {
					t.Fatalf("head %d in slots [%d, %d): %d, %d and %d, want %d", h, lo, n, got, guessed, wide, want)
				}
			}
		}
	}
}
