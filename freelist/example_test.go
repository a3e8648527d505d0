package freelist_test

import (
	"fmt"

	"mmdb/freelist"
	"mmdb/page"
)

// A reader of commit 5 keeps what commit 5 could see, and nothing else.
func Example() {
	l := freelist.New(12, 100)
	l.AddPending([]freelist.Pending{
		{Extent: freelist.Extent{Page: 20, Len: 4}, Born: 3, Died: 8}, // 5 sees it
		{Extent: freelist.Extent{Page: 40, Len: 2}, Born: 6, Died: 8}, // written after 5
	})
	l.Reclaim([]page.Commit{5, 9})
	fmt.Println("free:", l.FreePages(), "held back by 5:", l.PendingUnder(5))

	// One page, and a run of two: the run fits, the page goes behind the data.
	places, err := l.Alloc([]uint32{1, 2}, nil, 0)
	fmt.Println(places, l.HighWater(), err)

	l.Reclaim([]page.Commit{9}) // the reader ended
	fmt.Println("free:", l.FreePages())
	// Output:
	// free: 2 held back by 5: 4
	// [100 40] 101 <nil>
	// free: 4
}
