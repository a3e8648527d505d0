module mmdb/fuzz/fusetier

go 1.26.0

require (
	github.com/hanwen/go-fuse/v2 v2.12.1
	mmdb v0.0.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/google/btree v1.1.3 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace mmdb => ../..
