// Package prometheus exports the figures of an mmdb database to Prometheus. It is a module of its own, so that programs that
// don't want them don't get the client library.
//
//	db, err := mmdb.Open("app.mmdb", 0o600, nil)
//	...
//	registry.MustRegister(prometheus.New(db, prom.Labels{"database": "app"}))
//
// The names begin with mmdb_. What counts up ends in _total, sizes are in bytes, times in seconds; the help text of each tells
// what it is, as mmdb.Stats does. A scrape costs one call of DB.Stats, which takes no lock, whatever the size of the database.
//
// What to look at first: mmdb_failed, which is 1 when a flush has failed and nothing can be written until the database is opened
// again; mmdb_oldest_reader_seconds and mmdb_pending_pages, which grow when somebody forgot to end a read transaction; and
// rate(mmdb_flush_seconds_total[5m]) / rate(mmdb_flushes_total[5m]), the device's time for a flush.
package prometheus
