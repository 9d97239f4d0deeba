package local

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is the file system under pebble. Pebble holds a failed write to its log
// or manifest for fatal and cannot go on after it, so disk never shows it one
// that time may mend, such as a full disk: it waits and tries again, while
// Stalled tells publishers to refuse work. What was written so far stays valid,
// so everything goes on by itself once the disk takes writes again.
type disk struct {
	vfs.FS
	// patient is set once the database is open: until then errors are returned.
	patient atomic.Bool
	// onStall is told when the disk begins (nil ends) to refuse writes.
	onStall func(error)

	syncs     atomic.Int64
	syncNanos atomic.Int64

	mu      sync.Mutex
	refused int // operations waiting now
	failing bool
	err     error
	stalled chan struct{} // closed while the disk refuses writes
}

// The pauses between attempts on a disk that refuses writes.
const (
	firstPause   = 20 * time.Millisecond
	longestPause = 500 * time.Millisecond
)

func newDisk(under vfs.FS, onStall func(error)) *disk {
	return &disk{FS: under, onStall: onStall, stalled: make(chan struct{})}
}

// Stalled returns a channel that is closed while the disk refuses writes.
func (d *disk) Stalled() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stalled
}

// Err returns why the disk refuses writes, nil when it takes them.
func (d *disk) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		return nil
	}
	return fmt.Errorf("local: the disk refuses writes: %w", d.err)
}

func (d *disk) change(f func()) {
	d.mu.Lock()
	was := d.refused > 0 || d.failing
	f()
	is := d.refused > 0 || d.failing
	err := d.err
	if is && !was {
		close(d.stalled)
	}
	if was && !is {
		d.stalled = make(chan struct{})
		d.err, err = nil, nil
	}
	d.mu.Unlock()
	if is != was && d.onStall != nil {
		d.onStall(err)
	}
}

// background notes how pebble's last flush or compaction ended. It repeats those
// by itself. Errors that are not the disk's say nothing about the next write.
func (d *disk) background(err error) {
	failing := err != nil && mends(err)
	d.change(func() {
		d.failing = failing
		if failing {
			d.err = err
		}
	})
}

// insist calls try until it succeeds or fails for a reason that time will not mend.
func (d *disk) insist(try func() error) error {
	err := try()
	if err == nil || !d.patient.Load() || !mends(err) {
		return err
	}
	d.change(func() { d.refused++; d.err = err })
	defer d.change(func() { d.refused-- })
	for pause := firstPause; err != nil && mends(err); pause = min(2*pause, longestPause) {
		time.Sleep(pause) // pebble's own goroutine, which has nothing else to do
		err = try()
	}
	return err
}

// mends reports whether a write may succeed later without this process doing
// anything about it: when space is freed, a quota raised, a mount made writable.
func mends(err error) bool {
	for _, no := range []syscall.Errno{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO, syscall.EACCES,
		syscall.EPERM, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EFBIG,
		syscall.EINTR, syscall.EAGAIN,
	} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

func (d *disk) wrap(f vfs.File, name string) vfs.File {
	base := d.PathBase(name)
	return &file{File: f, disk: d, keep: strings.HasSuffix(base, ".log") || strings.HasPrefix(base, "MANIFEST")}
}

func (d *disk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	var f vfs.File
	err := d.insist(func() (err error) { f, err = d.FS.Create(name, category); return err })
	if err != nil {
		return nil, err
	}
	return d.wrap(f, name), nil
}

// ReuseForWrite falls back to a new file, as its contract allows: a second
// attempt at the rename would not find the old name.
func (d *disk) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.ReuseForWrite(oldname, newname, category)
	if err == nil {
		return d.wrap(f, newname), nil
	}
	if !d.patient.Load() || !mends(err) {
		return nil, err
	}
	if err := d.FS.Remove(oldname); err != nil && !errors.Is(err, os.ErrNotExist) && !mends(err) {
		return nil, err
	}
	return d.Create(newname, category)
}

func (d *disk) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	var f vfs.File
	err := d.insist(func() (err error) { f, err = d.FS.OpenReadWrite(name, category, opts...); return err })
	if err != nil {
		return nil, err
	}
	return d.wrap(f, name), nil
}

func (d *disk) OpenDir(name string) (vfs.File, error) {
	var f vfs.File
	err := d.insist(func() (err error) { f, err = d.FS.OpenDir(name); return err })
	if err != nil {
		return nil, err
	}
	return &file{File: f, disk: d, dir: true}, nil
}

func (d *disk) Link(oldname, newname string) error {
	return d.insist(func() error { return d.FS.Link(oldname, newname) })
}

func (d *disk) Rename(oldname, newname string) error {
	return d.insist(func() error { return d.FS.Rename(oldname, newname) })
}

func (d *disk) Unwrap() vfs.FS { return d.FS }

// file is a file written from its begin to its end.
type file struct {
	vfs.File
	disk *disk
	dir  bool
	// keep says that the file's unsynced end is kept in memory (the log's and
	// the manifest's). A failed fsync loses what it was to write and the next
	// one may succeed without it (see fsync(2), "errors"), so the end is
	// written again first.
	keep   bool
	end    []byte
	synced int64 // file offset at which end begins
}

// keepBytes bounds the memory for a file's unsynced end.
const keepBytes = 4 << 20

// ends hands the memory of a closed log's end to the next log.
var ends = sync.Pool{New: func() any { b := make([]byte, 0, 64<<10); return &b }}

func (f *file) Write(p []byte) (int, error) {
	if f.keep {
		if f.end == nil {
			f.end = *ends.Get().(*[]byte)
		}
		f.end = append(f.end, p...)
	}
	done := 0
	err := f.disk.insist(func() error {
		n, err := f.File.Write(p[done:])
		done += n
		return err
	})
	if err == nil && len(f.end) > keepBytes {
		err = f.SyncData()
	}
	return done, err
}

func (f *file) Close() error {
	if end := f.end; end != nil {
		f.end = nil
		end = end[:0]
		ends.Put(&end)
	}
	return f.File.Close()
}

func (f *file) Sync() error     { return f.sync(f.File.Sync) }
func (f *file) SyncData() error { return f.sync(f.File.SyncData) }

func (f *file) sync(sync func() error) error {
	start := time.Now()
	err := sync()
	f.disk.syncs.Add(1)
	f.disk.syncNanos.Add(int64(time.Since(start)))
	switch {
	case err == nil:
	case f.dir:
		err = f.disk.insist(sync)
	case f.keep && mends(err) && f.disk.patient.Load():
		lost := err
		err = f.disk.insist(func() error {
			if lost != nil { // so that insist begins with the failure
				err := lost
				lost = nil
				return err
			}
			if _, err := f.File.WriteAt(f.end, f.synced); err != nil {
				return err
			}
			return sync()
		})
	case f.disk.patient.Load():
		time.Sleep(longestPause) // a table: pebble writes it anew, at once
	}
	if err == nil && f.keep {
		f.synced += int64(len(f.end))
		f.end = f.end[:0]
	}
	return err
}

// Preallocate is a hint: a disk too full for it may still take the bytes.
func (f *file) Preallocate(offset, length int64) error {
	_ = f.File.Preallocate(offset, length)
	return nil
}
