// Package local is the embedded engine: durable streams, the fragment store,
// the ledger and quarantine of a whole hito in one process, in one pebble
// database under one directory.
//
// The database has one write-ahead log, so that a crash keeps a prefix of what
// was written. Only what somebody was told is durable waits for the disk: what
// is published, put or booked outside a handler. Everything a handler does is
// made from what the log holds before it, and is written together with the
// cursor that says so: if the end of the log is lost, handlers make it again.
package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options configure a database. Only Dir is needed.
type Options struct {
	// Dir is the data directory. It is made if need be.
	Dir string
	// CacheBytes bounds the memory for fragments, 256 MiB when 0. Fragments not
	// yet written may take up to a quarter of it.
	CacheBytes int64
	// Now is the clock for times that are stored, time.Now when nil.
	Now func() time.Time
	// Log is slog.Default() when nil.
	Log *slog.Logger
	// QuarantineFor and QuarantineBytes say how long and how much of what came
	// to quarantine stays, whichever is reached first; the oldest goes first.
	// QuarantineFor 0 sets no time, QuarantineBytes is 1 GiB when 0.
	QuarantineFor   time.Duration
	QuarantineBytes int64

	checkpoint time.Duration // between checkpoints, 1 s when 0
	fs         vfs.FS        // the operating system's when nil
}

// DB is an open data directory.
type DB struct {
	options Options
	pebble  *pebble.DB
	disk    *disk
	lock    *pebble.Lock

	committer  committer
	ledger     Ledger
	quarantine Quarantine
	fragments  Store

	streamsMu sync.Mutex
	streams   map[string]*Stream

	projects sync.Map // names, each once in memory

	// cut is held for reading while a checkpointed batch runs and for writing
	// while a checkpoint looks: between batches.
	cut          sync.RWMutex
	heldMu       sync.Mutex
	held         []*tx
	checkpointMu sync.Mutex
	wanted       chan struct{}
	signalMu     sync.Mutex
	signal       chan struct{}

	lifeMu    sync.Mutex
	closing   bool
	consumers []*consumer
	stop      chan struct{} // closed when closing begins
	work      context.Context
	cancel    context.CancelFunc
	running   sync.WaitGroup // consumers and whatever else uses pebble
	committed sync.WaitGroup // the committer
	gone      atomic.Bool    // pebble is closed

	stats counters
}

// ErrClosed is what a closed database answers.
var ErrClosed = errors.New("local: the database is closed")

// form is the stored form of the whole database.
const form = 1

// Open opens the data directory, and recovers it after a crash.
func Open(o Options) (_ *DB, err error) {
	o.CacheBytes = cmp.Or(o.CacheBytes, 256<<20)
	o.QuarantineBytes = cmp.Or(o.QuarantineBytes, 1<<30)
	o.checkpoint = cmp.Or(o.checkpoint, time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.fs == nil {
		o.fs = vfs.Default
	}
	db := &DB{
		options: o, streams: make(map[string]*Stream),
		wanted: make(chan struct{}, 1), signal: make(chan struct{}), stop: make(chan struct{}),
	}
	db.disk = newDisk(o.fs, func(err error) {
		if err != nil {
			o.Log.Error("the disk refuses writes: nothing is accepted until it takes them again", "dir", o.Dir, "error", err)
		} else {
			o.Log.Info("the disk takes writes again", "dir", o.Dir)
		}
	})
	if err := db.disk.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	db.lock, err = pebble.LockDirectory(o.Dir, db.disk)
	if err != nil {
		if errors.Is(err, syscall.EAGAIN) {
			err = errors.New("another process is using it: stop that one, or choose another directory")
		}
		return nil, fmt.Errorf("open data directory %s: %w", o.Dir, err)
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("open data directory %s: %v", o.Dir, v)
		}
		if err != nil {
			err = errors.Join(err, db.lock.Close())
		}
	}()
	if db.pebble, err = pebble.Open(o.Dir, db.tuning()); err != nil {
		return nil, fmt.Errorf("open data directory %s: %w", o.Dir, err)
	}
	if err := db.checkForm(); err != nil {
		return nil, errors.Join(fmt.Errorf("open data directory %s: %w", o.Dir, err), db.pebble.Close())
	}
	db.quarantine.db = db
	if err := db.quarantine.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open data directory %s: %w", o.Dir, err), db.pebble.Close())
	}
	db.disk.patient.Store(true)
	db.work, db.cancel = context.WithCancel(context.Background())
	db.ledger.db, db.fragments.db = db, db
	db.fragments.seed, db.fragments.limit = maphash.MakeSeed(), o.CacheBytes/shardCount
	db.committer = committer{db: db, kick: make(chan struct{}, 1), open: newGroup()}
	db.committed.Go(db.committer.run)
	db.running.Go(db.runCheckpoints)
	db.running.Go(db.runRetention)
	return db, nil
}

func (db *DB) checkForm() error {
	key := prefix(metaKind, "form")
	found := byte(0)
	if err := db.get(key, func(v []byte) error {
		if len(v) > 0 {
			found = v[0]
		}
		return nil
	}); err != nil {
		return err
	}
	if found > form {
		return fmt.Errorf("it has form %d, this build reads up to %d: run a newer build", found, form)
	}
	if found < form {
		return db.pebble.Set(key, []byte{form}, pebble.Sync)
	}
	return nil
}

// tuning is how pebble is set up: for few large values that are soon deleted
// (streams) and many small ones that are written again and again (fragments).
func (db *DB) tuning() *pebble.Options {
	o := &pebble.Options{
		FS:                          db.disk,
		Lock:                        db.lock,
		Logger:                      pebbleLog{db.options.Log},
		Merger:                      sumMerger,
		FormatMajorVersion:          pebble.FormatTableFormatV6,
		CacheSize:                   32 << 20,
		MemTableSize:                64 << 20,
		MemTableStopWritesThreshold: 3,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       64,
		LBaseMaxBytes:               256 << 20,
		MaxOpenFiles:                1000,
		BytesPerSync:                1 << 20,
		MaxManifestFileSize:         16 << 20,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { db.disk.background(err) },
			FlushEnd:        func(i pebble.FlushInfo) { db.disk.background(i.Err) },
			CompactionEnd:   func(i pebble.CompactionInfo) { db.disk.background(i.Err) },
			DataCorruption: func(i pebble.DataCorruptionInfo) {
				db.options.Log.Error("the data directory is damaged", "path", i.Path, "error", i.Details)
			},
		},
	}
	// A flush ends a table where a partition or a kind of thing ends. So the
	// tables of a partition never overlap: they move down the levels without
	// being rewritten, and are dropped whole when their records are.
	o.Experimental.SpanPolicyFunc = spanPolicy
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].IndexBlockSize = 256 << 10 // one level of index: one block less to look up
		o.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	}
	o.TargetFileSizes[0] = 8 << 20
	return o
}

// spanPolicy ends tables at the end of a stream's partition, and of a kind of key.
func spanPolicy(start []byte) (pebble.SpanPolicy, []byte, error) {
	if len(start) == 0 {
		return pebble.SpanPolicy{}, []byte{chunkKind}, nil
	}
	if start[0] == chunkKind {
		if _, rest, err := cutName(start[1:]); err == nil && len(rest) > 0 {
			return pebble.SpanPolicy{}, keyAfter(start[:len(start)-len(rest)+1]), nil
		}
	}
	return pebble.SpanPolicy{}, []byte{start[0] + 1}, nil
}

// pebbleLog passes on what of pebble's log is of use to an operator.
type pebbleLog struct{ log *slog.Logger }

func (l pebbleLog) Infof(string, ...any) {}
func (l pebbleLog) Errorf(format string, args ...any) {
	l.log.Error("pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf must not return. The process ends and recovers when it is started again.
func (l pebbleLog) Fatalf(format string, args ...any) {
	panic("pebble: " + fmt.Sprintf(format, args...))
}

// get calls f with the value at key, if there is one. The value is valid only
// during the call.
func (db *DB) get(key []byte, f func(value []byte) error) error {
	if db.gone.Load() {
		return ErrClosed
	}
	v, closer, err := db.pebble.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f(v), closer.Close())
}

// intern returns the project's name as the one string kept for it.
func (db *DB) intern(project string) string {
	if v, ok := db.projects.Load(project); ok {
		return v.(string)
	}
	v, _ := db.projects.LoadOrStore(project, project)
	return v.(string)
}

// Store returns the store of fragments.
func (db *DB) Store() *Store { return &db.fragments }

// Ledger returns the ledger.
func (db *DB) Ledger() *Ledger { return &db.ledger }

// Quarantine returns the quarantine.
func (db *DB) Quarantine() *Quarantine { return &db.quarantine }

// Err returns why nothing can be made durable now, nil when all is well.
func (db *DB) Err() error { return db.disk.Err() }

func (db *DB) stopped() bool {
	select {
	case <-db.stop:
		return true
	default:
		return false
	}
}

// Close ends the consumers after their batch, makes everything durable and
// closes the database. When the context ends first, handlers are cancelled;
// what they had not finished is delivered again when the directory is opened
// next. If even that takes too long (a handler that does not return, a disk
// that refuses writes) Close gives up and leaves the rest to recovery. The
// stores may not be used once Close was called.
func (db *DB) Close(ctx context.Context) error {
	db.lifeMu.Lock()
	if db.closing {
		db.lifeMu.Unlock()
		return ErrClosed
	}
	db.closing = true
	close(db.stop)
	db.lifeMu.Unlock()

	done := make(chan error, 1)
	go func() { done <- db.shut() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	db.cancel()
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case err := <-done:
		return err
	case <-t.C:
		return fmt.Errorf("close data directory %s: %w", db.options.Dir, errors.Join(context.Cause(ctx), db.disk.Err()))
	}
}

func (db *DB) shut() error {
	db.running.Wait()
	db.committer.close()
	db.committed.Wait()
	err := db.flush()
	db.gone.Store(true)
	err = errors.Join(err, db.pebble.Close(), db.lock.Close())
	db.cancel()
	if err != nil {
		return fmt.Errorf("close data directory %s: %w", db.options.Dir, err)
	}
	return nil
}

// counters are counted since the database was opened.
type counters struct {
	checkpoints, checkpointNanos, fragmentsWritten atomic.Int64
}
