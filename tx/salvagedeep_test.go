package tx

import (
	"fmt"
	"testing"
	"time"
)

// The handles of a transaction are bounded, and each begins with all that lead to the bucket at hand: that is not done again for each bucket.
func TestSalvageOfDeeplyNestedBuckets(t *testing.T) {
	const depth = 3 * salvageBuckets
	path := memoryPath(t)
	st, err := Open(path, 0o600, quick())
	noError(t, err)
	noError(t, st.Update(func(tx *Tx) error {
		b, err := tx.CreateBucket([]byte("b"))
		for i := 0; i < depth && err == nil; i++ {
			b, err = b.CreateBucket(fmt.Append(nil, i))
		}
		if err != nil {
			return err
		}
		return b.Put([]byte("k"), []byte("v"))
	}))
	noError(t, st.Close())
	dst, err := Open(memoryPath(t), 0o600, &Options{Timeout: quick().Timeout, Seam: noFlush})
	noError(t, err)
	defer func() { noError(t, dst.Close()) }()
	begin := time.Now()
	report, err := Salvage(path, dst, SalvageOptions{})
	noError(t, err)
	if !report.Complete() || report.Buckets != depth+1 || report.Keys != 1 {
		t.Errorf("%+v", report)
	}
	if n := dst.published.Load().meta.Commit; n > 10 {
		t.Errorf("it took %d commits, and %v", n, time.Since(begin))
	}
}
