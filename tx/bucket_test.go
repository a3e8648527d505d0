package tx

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// To take one of many opened buckets out moves no more than one other: it costs the same however many there are, so a transaction that
// deletes all of them does not take the square of their number.
func TestOpenedBucketsAreTakenOutOneByOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 3, childrenIndexed, childrenIndexed + 1, 100} {
		var c children
		for i := range n {
			c.add(&Bucket{name: testKey(i)})
		}
		for left := n; left > 0; left-- {
			before := slices.Clone(c.list)
			b := before[rng.IntN(left)]
			c.remove(b)
			moved := 0
			for i, other := range c.list {
				if int(other.at) != i || other.gone || c.find(other.name) != other {
					t.Fatalf("%d of %d left: %q is lost", left-1, n, other.name)
				}
				if before[i] != other {
					moved++
				}
			}
			if len(c.list) != left-1 || moved > 1 || !b.gone || c.find(b.name) != nil {
				t.Fatalf("%d of %d left: one was taken out, %d are left, %d have moved", left-1, n, len(c.list), moved)
			}
		}
	}
}

// Buckets that were opened in the transaction, in whatever order they are deleted, leave the others as they are.
func TestDeletingOpenedBucketsLeavesTheOthers(t *testing.T) {
	st := openStore(t, newPath(t), nil)
	const n = 300
	rng := rand.New(rand.NewPCG(3, 4))
	name := func(i int) []byte { return fmt.Appendf(nil, "%04d", i) }
	update(t, st, func(tx *Tx) {
		p, err := tx.CreateBucket([]byte("p"))
		noError(t, err)
		for i := range n {
			c, err := p.CreateBucket(name(i))
			noError(t, err)
			noError(t, errors.Join(c.Put([]byte("k"), name(i)), c.Put([]byte("large"), make([]byte, i%10*1000))))
		}
		for _, i := range rng.Perm(n) {
			if i%3 != 0 {
				noError(t, p.DeleteBucket(name(i)))
			} else {
				noError(t, p.Bucket(name(i)).Put([]byte("l"), name(i)))
			}
		}
		other, err := tx.CreateBucket([]byte("q")) // is deleted with buckets that are open
		noError(t, err)
		for i := range n {
			_, err := other.CreateBucket(name(i))
			noError(t, err)
		}
		noError(t, tx.DeleteBucket([]byte("q")))
	})
	noError(t, st.View(func(tx *Tx) error {
		p := tx.Bucket([]byte("p"))
		for i := range n {
			c := p.Bucket(name(i))
			if (c != nil) != (i%3 == 0) || c != nil && string(c.Get([]byte("k")))+string(c.Get([]byte("l"))) != string(name(i))+string(name(i)) {
				return fmt.Errorf("bucket %d", i)
			}
		}
		return nil
	}))
	checkStore(t, st)
}
