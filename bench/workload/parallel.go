package workload

import (
	"errors"
	"sync"
)

// parallel calls fn in n goroutines with their numbers, and returns their errors.
func parallel(n int, fn func(worker int) error) error {
	errs := make([]error, n)
	var group sync.WaitGroup
	for worker := range n {
		group.Go(func() { errs[worker] = fn(worker) })
	}
	group.Wait()
	return errors.Join(errs...)
}
