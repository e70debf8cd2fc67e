// Go's goroutines, on one processor (GOMAXPROCS=1), with the garbage collector as it comes. What
// they count together is atomic all the same: they are preempted anywhere.
//
// The command line, the answers and the workloads are those of bench.h, workloads.h and channels.h,
// whose comments say what is measured. A deadline is a timer beside the receive in a select;
// C5-...-context has a context.WithTimeout instead.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	longEnough = 300 * time.Millisecond
	pairs      = 9
	never      = 5000 * time.Second
	sleeps     = 5
)

// One run of a workload: how many operations to do; then, how many were done in how much CPU time.
type run struct {
	workload string
	n, seed  uint64
	deadline bool
	ops      uint64
	took     time.Duration
}

type workload struct {
	name string
	kind func(func(*run), *run)
	run  func(*run)
}

func workloads() []workload {
	return []workload{
		{"yield", rate, yields},
		{"C2", rate, spawns},
		{"C3", own, memory},
		{"C4", own, sleepers},
		{"C5-ready", added, ready(takeInTime)},
		{"C5-ready-until", added, ready(takeInTime)},
		{"C5-ready-context", added, ready(takeInContext)},
		{"C5-parked", added, parked(takeInTime)},
		{"C5-parked-until", added, parked(takeInTime)},
		{"C5-parked-context", added, parked(takeInContext)},
		{"C7", rate, exchange(1)},
		{"C7-rendezvous", rate, exchange(0)},
	}
}

func require(good bool, what string) {
	if !good {
		fmt.Fprintln(os.Stderr, "not so:", what)
		os.Exit(1)
	}
}

// ---------------------------------------------------------------------------------------- running

func runUntil(w func(*run), r *run, least time.Duration) {
	r.ops = 1000
	for warm := false; ; warm = true {
		w(r)
		require(r.ops > 0 && r.took > 0, "something was done")
		if warm && r.took >= least {
			return
		}
		more := 1.2 * float64(least) / float64(r.took)
		if more < 1 {
			more = 1
		} else if more > 16 {
			more = 16
		}
		r.ops = uint64(float64(r.ops) * more)
	}
}

func rate(w func(*run), r *run) {
	runUntil(w, r, longEnough)
	fmt.Printf("{\"workload\":\"%s\",\"n\":%d,\"ns\":%.3f,\"ops\":%d}\n",
		r.workload, r.n, float64(r.took)/float64(r.ops), r.ops)
}

func added(w func(*run), r *run) {
	var ns [2][]float64
	var difference []float64
	r.deadline = true
	runUntil(w, r, longEnough/pairs)
	ops := r.ops
	for i := 0; i < 2*pairs; i++ {
		r.deadline = i%2 != 0
		r.ops = ops
		w(r)
		ns[i%2] = append(ns[i%2], float64(r.took)/float64(r.ops))
	}
	for i := 0; i < pairs; i++ {
		difference = append(difference, ns[1][i]-ns[0][i])
	}
	median := func(values []float64) float64 {
		sort.Float64s(values)
		return values[pairs/2]
	}
	fmt.Printf("{\"workload\":\"%s\",\"n\":%d,\"ns\":%.3f,\"with\":%.3f,\"without\":%.3f}\n",
		r.workload, r.n, median(difference), median(ns[1]), median(ns[0]))
}

func own(w func(*run), r *run) {
	w(r)
}

// ------------------------------------------------------------------------------------------ yield

func yields(r *run) {
	var begun, done, extra uint64
	var begin time.Duration
	var all sync.WaitGroup
	rounds := r.ops/r.n + 1
	gate := make(chan bool) // shut until all are made: that takes more than one turn
	all.Add(int(r.n))
	for i := uint64(0); i < r.n; i++ {
		go func() {
			<-gate
			if atomic.AddUint64(&begun, 1) == r.n {
				begin = cpu()
			}
			for atomic.LoadUint64(&begun) < r.n {
				runtime.Gosched()
			}
			for i := rounds; i > 0; i-- {
				runtime.Gosched()
			}
			if atomic.AddUint64(&done, 1) == r.n {
				r.took = cpu() - begin
			}
			for atomic.LoadUint64(&done) < r.n {
				atomic.AddUint64(&extra, 1)
				runtime.Gosched()
			}
			all.Done()
		}()
	}
	close(gate)
	all.Wait()
	require(done == r.n, "all are done")
	require(extra <= (rounds+1)*r.n, "all had turns")
	r.ops = rounds*r.n + extra
}

// --------------------------------------------------------------------------------------------- C2

func spawns(r *run) {
	var all sync.WaitGroup
	nothing := func() { all.Done() } // Wait goes by this count
	rounds := r.ops/r.n + 1
	begin := cpu()
	for i := uint64(0); i < rounds; i++ {
		for k := uint64(0); k < r.n; k++ {
			all.Add(1)
			go nothing()
		}
		all.Wait()
	}
	r.took = cpu() - begin
	r.ops = rounds * r.n
}

// --------------------------------------------------------------------------------------------- C3

var begun, woken uint64

func sleepBeside(n uint64) {
	for i := uint64(0); i < n; i++ {
		go func() {
			time.Sleep(draw(1, atomic.AddUint64(&begun, 1)) * 10000)
			atomic.AddUint64(&woken, 1)
		}()
	}
	for atomic.LoadUint64(&begun) < n {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Millisecond)
	require(atomic.LoadUint64(&woken) == 0, "all sleep")
}

// Bytes of resident memory and of the page tables that map it.
func memoryNow() (bytes int64) {
	status, err := os.Open("/proc/self/status")
	require(err == nil, "/proc is there")
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		field := strings.Fields(lines.Text())
		if field[0] == "VmRSS:" || field[0] == "VmPTE:" {
			kib, _ := strconv.ParseInt(field[1], 10, 64)
			bytes += kib * 1024
		}
	}
	return
}

func memory(r *run) {
	before := memoryNow()
	sleepBeside(r.n)
	fmt.Printf("{\"workload\":\"%s\",\"n\":%d,\"bytes\":%.1f}\n",
		r.workload, r.n, float64(memoryNow()-before)/float64(r.n))
}

// --------------------------------------------------------------------------------------------- C4

func draw(seed, i uint64) time.Duration {
	z := seed + (i+1)*0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	z ^= z >> 31
	return time.Duration(100000+((z>>32)*900001>>32)) * time.Microsecond
}

// Of the process, user and system.
func cpu() time.Duration {
	var usage syscall.Rusage
	require(syscall.Getrusage(syscall.RUSAGE_SELF, &usage) == nil, "rusage is there")
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func sleepers(r *run) {
	var wakes uint64
	var all sync.WaitGroup
	late := make([]int64, r.n*sleeps)
	for i := range late {
		late[i] = -1 // the pages are here before the clock runs
	}
	all.Add(int(r.n))
	start := cpu()
	for me := uint64(0); me < r.n; me++ {
		go func(i uint64) {
			for last := i + sleeps; i < last; i++ {
				dur := draw(r.seed, i)
				deadline := time.Now().Add(dur)
				time.Sleep(dur)
				ns := int64(time.Since(deadline))
				late[atomic.AddUint64(&wakes, 1)-1] = ns
			}
			all.Done()
		}(me * sleeps)
	}
	spawned := cpu()
	all.Wait()
	require(wakes == r.n*sleeps, "all were woken")
	printSleepers(r, late, spawned-start, cpu()-start)
}

func printSleepers(r *run, late []int64, spawnCPU, cpu time.Duration) {
	sort.Slice(late, func(i, k int) bool { return late[i] < late[k] })
	early := sort.Search(len(late), func(i int) bool { return late[i] >= 0 })
	mostEarly := 0.0
	if early > 0 {
		mostEarly = float64(-late[0]) / 1000
	}
	us := func(perMille int) float64 {
		return float64(late[(len(late)*perMille+999)/1000-1]) / 1000
	}
	fmt.Printf("{\"workload\":\"%s\",\"n\":%d,\"cpu_s\":%.4f,\"spawn_cpu_s\":%.4f,"+
		"\"after_cpu_s\":%.4f,\"late_us\":[[50,%.1f],[90,%.1f],[99,%.1f],[99.9,%.1f],"+
		"[100,%.1f]],\"early\":%d,\"most_early_us\":%.1f}\n",
		r.workload, r.n, cpu.Seconds(), spawnCPU.Seconds(), (cpu - spawnCPU).Seconds(),
		us(500), us(900), us(990), us(999), us(1000), early, mostEarly)
}

// ----------------------------------------------------------------------------------------- C7, C5

func take(from chan uint64) uint64 {
	return <-from
}

func takeInTime(from chan uint64) (number uint64) {
	timer := time.NewTimer(never)
	select {
	case number = <-from:
	case <-timer.C:
		require(false, "it came in time")
	}
	timer.Stop()
	return
}

func takeInContext(from chan uint64) (number uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), never)
	select {
	case number = <-from:
	case <-ctx.Done():
		require(false, "it came in time")
	}
	cancel()
	return
}

func pingPong(r *run, rounds, places uint64, take func(chan uint64) uint64) {
	there, back := make(chan uint64, places), make(chan uint64, places)
	go func() {
		for i := uint64(0); i < rounds; i++ {
			back <- <-there + 1
		}
	}()
	begin := cpu()
	for i := uint64(0); i < rounds; i++ {
		there <- i
		require(take(back) == i+1, "the echo is right")
	}
	r.took = cpu() - begin
}

func exchange(places uint64) func(*run) {
	return func(r *run) {
		rounds := r.ops/2 + 1
		pingPong(r, rounds, places, take)
		r.ops = 2 * rounds
	}
}

func parked(takeInTime func(chan uint64) uint64) func(*run) {
	return func(r *run) {
		if begun < r.n {
			sleepBeside(r.n)
		}
		take := take
		if r.deadline {
			take = takeInTime
		}
		pingPong(r, r.ops, 1, take) // in each round, one receive has a deadline
	}
}

func ready(takeInTime func(chan uint64) uint64) func(*run) {
	return func(r *run) {
		if begun < r.n {
			sleepBeside(r.n)
		}
		take := take
		if r.deadline {
			take = takeInTime
		}
		line := make(chan uint64, 1)
		begin := cpu()
		for i := uint64(0); i < r.ops; i++ {
			line <- i
			require(take(line) == i, "it is what was sent")
		}
		r.took = cpu() - begin
	}
}

// ----------------------------------------------------------------------------------- command line

func list() {
	var names []string
	for _, w := range workloads() {
		names = append(names, strconv.Quote(w.name))
	}
	fmt.Printf("{\"name\":\"go\",\"version\":\"%s\",\"kind\":\"coroutines\","+
		"\"workloads\":[%s],\"note\":\"GOMAXPROCS=1\"}\n",
		runtime.Version()[2:], strings.Join(names, ","))
}

func number(text string) uint64 {
	value, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return value
}

func main() {
	runtime.GOMAXPROCS(1)
	if len(os.Args) == 2 && os.Args[1] == "--list" {
		list()
		return
	}
	if len(os.Args) < 3 || len(os.Args) > 4 {
		fmt.Fprintf(os.Stderr, "usage: %s --list | WORKLOAD N [SEED]\n", os.Args[0])
		os.Exit(2)
	}
	r := run{workload: os.Args[1], n: number(os.Args[2]), seed: 1}
	if len(os.Args) == 4 {
		r.seed = number(os.Args[3])
	}
	for _, w := range workloads() {
		if w.name == r.workload {
			w.kind(w.run, &r)
			return
		}
	}
	fmt.Printf("{\"workload\":\"%s\",\"n\":%d,\"skip\":\"it has no such thing\"}\n",
		r.workload, r.n)
}
