//go:build !amd64 || purego

package tx

import "mmdb/page"

// prefetch loads the head of leaf b, which is about to be read.
func (t *Tx) prefetch(b []byte) {
	t.touched += b[0]
	t.touchHead(page.Body(b))
}
