//go:build unix

package pgtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Server is a PostgreSQL that is the test's own.
type Server struct {
	Address string // postgres://…
	t       testing.TB
	bin     string
	dir     string
	options string
	as      *syscall.Credential // nil: whoever runs the test
}

// Start starts a PostgreSQL that ends with the test. Where none is installed the
// test is skipped, but in CI it fails.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, bin: bin()}
	if s.bin == "" && os.Getenv("CI") != "" {
		t.Fatal("CI must have PostgreSQL's initdb and pg_ctl")
	} else if s.bin == "" {
		t.Skip("PostgreSQL's initdb and pg_ctl are not here")
	}
	dir, err := os.MkdirTemp("", "wenzi-postgres-") //nolint:usetesting // t.TempDir is closed to PostgreSQL's own user
	if err != nil {
		t.Fatal(err)
	}
	s.dir = dir
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if os.Geteuid() == 0 { // PostgreSQL refuses to run as root
		if s.as, err = credential("postgres"); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	// Below the ports that the system gives to connections, so that it is still free
	// when the server is started again.
	port := 0
	for tries := 0; port == 0; tries++ {
		candidate := 20_000 + rand.N(12_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", candidate))
		switch {
		case err == nil:
			_ = l.Close()
			port = candidate
		case tries > 100:
			t.Fatal(err)
		}
	}
	s.Address = fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port)
	s.options = fmt.Sprintf("-c listen_addresses=127.0.0.1 -p %d -k %s", port, dir)
	s.must("initdb", "-D", s.data(), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
	s.Start()
	t.Cleanup(func() { _ = s.ctl("-m", "immediate", "stop") })
	return s
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Start starts it again.
func (s *Server) Start() {
	s.t.Helper()
	s.must("pg_ctl", "-D", s.data(), "-w", "-l", filepath.Join(s.dir, "log"), "-o", s.options, "start")
}

// Stop stops it at once, as when its machine loses power but for what is in the
// memory of the system.
func (s *Server) Stop() {
	s.t.Helper()
	if err := s.ctl("-m", "immediate", "stop"); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) ctl(args ...string) error {
	return s.run("pg_ctl", append([]string{"-D", s.data(), "-w"}, args...)...)
}

func (s *Server) must(program string, args ...string) {
	s.t.Helper()
	if err := s.run(program, args...); err != nil {
		said, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		s.t.Fatalf("%v\n%s", err, said)
	}
}

func (s *Server) run(program string, args ...string) error {
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	said, err := os.Create(filepath.Join(s.dir, program+".log")) // a pipe would be held open by the server
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = said, said
	if err := errors.Join(cmd.Run(), said.Close()); err != nil {
		text, _ := os.ReadFile(said.Name())
		return fmt.Errorf("%s: %w: %s", program, err, text)
	}
	return nil
}

// bin is the directory of PostgreSQL's programs, where Debian puts them or in
// the path.
func bin() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1])
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	return ""
}

func credential(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
