package mmdb

// A package's export data carries the body of another package's function, for inlining by its importers, only if
// it was inlined here too. Without these calls a loop over Bucket.All in a program that imports just mmdb allocates its
// closures; with them it allocates nothing (a test holds that).
//
//lint:ignore U1000 it is here to be compiled
func inlined(b *Bucket, visit func(k, v []byte)) uint64 {
	for k, v := range b.All() {
		visit(k, v)
	}
	for k, v := range b.Range(nil, nil) {
		visit(k, v)
	}
	for k, v := range b.Prefix(nil) {
		visit(k, v)
	}
	for k, v := range b.Backward(nil, nil) {
		visit(k, v)
	}
	return b.Len()
}
