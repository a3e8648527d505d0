// Package mmapfile maps files into memory for a store.
package mmapfile
