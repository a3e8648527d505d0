// Package freelist keeps the free space of a file.
package freelist
