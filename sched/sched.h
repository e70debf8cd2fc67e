/* The scheduler's own structures, and the verbs that its files share.
 *
 *	loop.c		opening, passes, waiting, shutdown; co_run
 *	clock.c		what time it is; the virtual clock
 *	queue.[ch]	the run queue
 *	park.c		the one way to stop and to be woken; timers of coroutines
 *	scope.c		the tree of scopes: deadlines, cancellation, what an end returns
 *	group.c		children: spawn into, wait for, outcome
 *	coro.c		the life of a coroutine: spawn, run, finish, join; references
 *	blocks.c	control blocks: where they are, those that are free
 *	tidy.c		memory that nobody needs any more goes back
 *	sleep.c		sleep, yield, checkpoint
 *	line.c		to stand in line for an object of the user's, which is in
 *			mutex.c, sem.c, event.c, rwlock.c, ticker.c, limiter.c
 *	chan.c		channels, and select over them
 *	io.c		descriptors: waiting, reading, writing
 *	remote.c	what other threads and signal handlers may do
 *	work.c		blocking functions, on threads
 *	report.c	misuse, reports, sites
 *
 * A loop belongs to one thread, and nothing here is locked. A coroutine is in one of three places:
 * it runs (whorl__running), it is in the run queue, or it is parked with a waiter that says on
 * what. */
#ifndef WHORL_SCHED_SCHED_H
#define WHORL_SCHED_SCHED_H

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <whorl/co.h>
#include <whorl/wheel.h>

#include "../src/core.h"
#include "remote.h"

/* Where the caller of a public function is, for reports. */
#define SITE() __builtin_extract_return_addr(__builtin_return_address(0))
/* Where the frame of a public function's caller ends, or a little below: what lies below that in
 * the coroutine's stack is dead. Inlined it would be the caller's caller's. The CFA needs no frame
 * pointer, but clang makes one for it, and not at all on riscv64. */
#ifdef __clang__
#define FRAME() __builtin_frame_address(0)
#else
#define FRAME() __builtin_dwarf_cfa()
#endif
#define FRAMED __attribute__((noinline))
#define CALLER() (&(struct caller){ FRAME(), SITE() })
struct caller {
	const void *frame, *site;
};
/* The size of a user's object, a part of the interface: that many words of 64 bits; where a word is
 * shorter, no more. */
#define SIZED(type, words)							\
	_Static_assert(UINTPTR_MAX > UINT32_MAX ? sizeof(type) == (words) * 8	\
						: sizeof(type) <= (words) * 8,	\
		       "part of the interface")
#define CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* ------------------------------------------------------------------------------------------- lists
 *
 * Doubly linked rings: an empty head and a link that is in no list point to themselves; that of a
 * waiter who was woken is stale till the next wait_for. */
struct link {
	struct link *next, *prev;
} __attribute__((may_alias));	/* also the first words of a struct co_line_: line.h */

static inline void list_init(struct link *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct link *l)
{
	return l->next == l;
}

static inline void list_append(struct link *head, struct link *l)
{
	l->next = head;
	l->prev = head->prev;
	head->prev->next = l;
	head->prev = l;
}

/* Leaves l's own pointers as they were, for who will write them before they are read. */
static inline void list_unlink(const struct link *l)
{
	l->next->prev = l->prev;
	l->prev->next = l->next;
}

static inline void list_remove(struct link *l)
{
	list_unlink(l);
	list_init(l);
}

static inline struct link *list_first(const struct link *head)	/* NULL: it is empty */
{
	return list_empty(head) ? NULL : head->next;
}

/* -------------------------------------------------------------------------------------------- time
 *
 * The wheel's tick is half a nanosecond: operations expire at even ticks, scopes at the odd tick
 * after, so that within one instant all operations come before all scopes, whichever coroutines
 * they belong to. */
#define TICK_NEVER WHEEL_NEVER

static inline co_ns sat_add(co_ns a, co_ns b)
{
	co_ns sum;

	if (__builtin_add_overflow(a, b, &sum))
		return a > 0 ? CO_FOREVER : INT64_MIN;
	return sum;
}

static inline uint64_t op_tick(co_ns abs)
{
	if (abs == CO_FOREVER)
		return TICK_NEVER;
	return abs > 0 ? (uint64_t)abs << 1 : 0;
}

static inline uint64_t scope_tick(co_ns abs)
{
	return op_tick(abs) | 1;	/* TICK_NEVER stays */
}

static inline co_ns tick_time(uint64_t tick)	/* the instant of either kind */
{
	return tick == TICK_NEVER ? CO_FOREVER : (co_ns)(tick >> 1);
}

/* ------------------------------------------------------------------------------------------- waits
 *
 * A coroutine waits for one thing at a time, so its wait is part of its control block. The waker
 * takes its waiter out of the line it stands in and fixes the result (C8); a cancel or a deadline
 * does the same, so one that was woken stands in no line, and what was given to it is its own. A
 * select stands in several lines: with waiters more, on its stack. */
struct waiter {
	struct link link;		/* in the line of what it waits for, or by itself */
	struct co *co;
	void *item;			/* what the other side needs */
};

struct wait {
	struct waiter waiter;
	uint64_t tick;			/* op_tick of its own deadline */
	void (*leave)(struct co *co, int result);	/* what else is to be undone when it is
							 * woken; NULL: nothing */
	uint64_t n;			/* beside the item: how much of it */
	const char *what;		/* "sleep", ...: for reports */
	co_ns since;			/* when it began to wait */
	bool deaf;			/* a cancel does not wake it */
};

static inline struct waiter *first_waiter(const struct link *line)	/* NULL: there is none */
{
	return list_empty(line) ? NULL : CONTAINER(line->next, struct waiter, link);
}

/* ------------------------------------------------------------------------------------------ scopes
 *
 * A node is the scope itself; the user's object only refers to it (node and generation). The nodes
 * of a coroutine are a stack: from co->scope outward by `parent` to its root, whose parent is the
 * scope of its group, and so on to the loop's root. A cancelled scope makes the nodes inside it
 * `effective`, down to the first shield; so a cancellation point looks at one flag, and cancelling
 * costs what it reaches. */
struct node {
	struct node *parent;		/* outward */
	struct node *inner;		/* the next scope inward of the same coroutine */
	struct co *owner;		/* NULL: the loop's root */
	struct group *group;		/* of a group's scope: its children */
	const void *user;		/* the user's object; ROOT: none */
	struct share *share;		/* if it was shared */
	uint64_t gen;			/* unique among all scopes of the loop; 0: free */
	const void *site;		/* where it was begun */
	co_ns deadline;			/* CO_FOREVER: none */
	uint64_t nearest;		/* least scope_tick of this and the coroutine's outer
					 * scopes, unless cancelled */
	unsigned char cause;		/* enum co_cause_kind; NONE: not cancelled */
	bool shield;
	bool effective;			/* this or an outer one up to the first shield is cancelled
					 * */
	int cause_err;			/* once it is cancelled: */
	const void *cause_site;
	struct node *next;		/* in the work list of a cancel, or among free nodes */
};

/* No object lies above it: so whether one lies below a frame is one comparison for all. */
#define ROOT ((const void *)UINTPTR_MAX)
static inline bool is_root(const struct node *n)
{
	return n->user == ROOT;
}

enum { INLINE_NODES = 4 };

/* What a coroutine has on its own stack, at the top: all that is not needed to choose and wake it.
 * First what each has; the nodes behind it are not written before a scope is begun. They are free
 * till then: a stack always has its home in the same place, new memory is zero, and whoever had it
 * before has closed its scopes. */
struct home {
	struct node root;
	co_fn *fn;
	void *arg;
	int *exit_out;			/* where to store the exit code besides, or NULL */
	struct link overdue;		/* among the loop's cancelled, until it is reported */
	co_ns cancelled_at;
	char name[WHORL__NAME_SIZE];
	struct node nodes[INLINE_NODES];
	struct node spare; /* for the scope that got no memory: born cancelled */
};
#define HOME_SIZE ((sizeof(struct home) + WHORL__LINE - 1) / WHORL__LINE * WHORL__LINE)

enum co_state {
	STATE_FREE,
	STATE_READY,
	STATE_YIELDED,			/* ready, and a cancel that comes now is what it returns */
	STATE_RUNNING,
	STATE_PARKED,
	STATE_DONE
};

/* A control block: dense, apart from the stacks, and never anything else while the loop lives, so
 * that a stale reference can be looked at. What choosing, waking and parking need comes first, up
 * to the bounds of the stack: with a crowd of sleepers each line of it is a cache miss. */
struct co {
	struct whorl__fiber *on;	/* where it goes on: its own fiber, or that of a generator
					 * it is in */
	int rc;				/* what the call returns that it stopped in; while parked:
					 * at its own deadline */
	unsigned char state;		/* enum co_state */
	unsigned char level;		/* of the run queue: its priority */
	uint64_t nearest;		/* its innermost scope's */
	struct wheel_timer timer;	/* one for all its deadlines: armed for the nearest when it
					 * switches out */
	struct wait wait;
	uint64_t tick;			/* what the timer was armed for, before slack;
					 * TICK_NEVER: it is not armed */
	struct node *scope;		/* the innermost */
	struct co_loop *loop;
	int patience;			/* so many more points need not block; negative: a pass is
					 * due */
	unsigned checkpoints;		/* calls of co_checkpoint since it was parked */
	unsigned ignored;		/* -ECANCELED in a row */
	unsigned depth;			/* of nodes in use */
	struct whorl__fiber fiber;
	struct co *next;		/* among the free */
	struct home *home;		/* NULL once done */
	struct group *group;		/* whose child it is */
	struct link sibling;		/* among the live or the done of its group */
	struct link joiners;		/* who waits for its end: one at most */
	struct start *start;		/* of the co_group_start that waits for it, until co_started
					 * */
	struct group *admitted;		/* holds a place there for its next spawn, if it still is
					 * the group with */
	uint64_t admitted_gen;		/* this generation */
	void *local;
	uint32_t index, gen;		/* its reference */
	int exit;
	bool keep;			/* the reference was asked for */
	bool was_cancelled;		/* once done */
	bool stormed;			/* its cancel storm was reported */
	unsigned mutexes;		/* that it holds */
};
_Static_assert(sizeof(struct co) <= 368 && sizeof(struct node) <= 104, "a million of them count");

struct group {
	struct node *node;
	struct link live, done;		/* children in order of spawning; records that wait to be
					 * joined */
	struct link waiters;		/* in group_wait and group_end */
	struct link admits;		/* in group_admit, FIFO */
	size_t running;			/* children not finished */
	size_t held;			/* places promised by admit */
	int limit;			/* 0: none */
	enum co_group_mode mode;
	int first_error;		/* in time, the body's too */
	int error_count, errors[4];	/* the children's */
	uint64_t winner;		/* FIRST: its reference */
	int winner_exit;
	bool child_cut;			/* a child was cut short */
	bool ending;			/* its owner is in group_end */
	bool granting;			/* in the list of grant_places */
	struct group *next;		/* there, or among the free */
};

/* ----------------------------------------------------------------------------------------- loop */

enum { LEVELS = 3 };			/* CO_PRIO_HIGH, NORMAL, LOW */

struct run_queue {			/* queue.h */
	struct ring {			/* with room for all that live of its level */
		struct co **at;
		size_t room, mask;	/* a power of two, or 0; room - 1 */
		size_t head, tail;	/* count up; at[head & mask] is the first */
		size_t members;		/* live coroutines of this level */
	} level[LEVELS];
	unsigned occupied;		/* bit n: level[n] is not empty */
	unsigned turn;			/* counts while more than one level wants to run */
};

struct co_loop {
	unsigned budget;		/* switches left in this pass */
	struct co *main;		/* co_run's, until it is done */
	bool virtual_clock;
	bool guest;			/* not in co_run: somebody polls epoll_fd */
	bool testing;			/* inside co_test_* */
	bool idle;			/* a guest that waited: descriptors are to be looked at */
	bool shutting_down;
	bool grace_over;		/* who is spawned now would not run */
	bool of_parent;			/* this is the child of a fork: nobody may run it */
	struct run_queue ready;
	struct whorl__fiber *on;	/* where the pass began */
	struct errand *errand;		/* what it is to do there for one on a small stack */
	co_ns now;			/* as of this pass */
	co_ns latest;			/* of all readings, at least 0: a clock that steps back is
					 * held here */
	struct co_options opt;
	unsigned stack_class;		/* of its opt.attr */
	char name[32];			/* opt.attr.name */
	uint32_t serial;		/* tells loops apart in references */
	uint64_t next_gen;		/* of scopes */
	struct group detached;		/* its node is `root` */
	struct node root;
	struct co *settler;		/* in co_test_*: woken when nothing else can run */
	struct wheel_timer grace;
	struct link cancelled;		/* coroutines that were, and go on: first come first */
	bool reporting;			/* of these: a hook may be at work */
	struct wheel_timer watchdog;	/* for the first of those */
	int epoll_fd;			/* has the next two, and what coroutines wait for */
	int timer_fd;
	co_ns fd_armed;			/* the instant at which timer_fd becomes readable */
	struct mailbox *mail;		/* for other threads, once it is needed */
	bool shared;			/* a reference was handed out: anybody may come */
	struct fd_entry *fds;		/* by descriptor */
	size_t fd_room, fd_waits;
	struct pool *pool;		/* of threads for offloaded work */
	size_t abroad;			/* pieces of it that are not back */
	co_ns polled;			/* when descriptors were last looked at */
	co_ns woke;			/* when the last wait ended */
	struct chunk *chunks;		/* of control blocks */
	size_t chunk_count, chunk_room;
	size_t blocks;			/* in all of them, */
	size_t sorted;			/* of these in chunk.idle */
	size_t hole, first_sorted;	/* before these chunks all are made; have none there */
	struct co *free;
	struct node *free_nodes;
	struct group *free_groups;
	struct co_stats stats;		/* passes, switches, spawned, live */
	uint64_t quiet_passes;		/* passes since a timer fired */
	unsigned fetched;		/* of the timers next in time: of so many the stacks */
	co_ns tidy_at, period_end;	/* tidy.c */
	size_t unswept;			/* chunks that it has to look at, */
	bool sorting;			/* when it has done with co_loop.free */
	struct co_loop *next;		/* in the list of all loops */
	struct whorl__stack_pool stacks;
	struct wheel wheel;
};

/* As many as fit into some pages; in references there is room for PLACES of each chunk. */
enum { CHUNK_SIZE = 32 << 10, FIT = CHUNK_SIZE / sizeof(struct co), CHUNK_BITS = 7,
       PLACES = 1 << CHUNK_BITS, CHUNK = FIT < PLACES ? FIT : PLACES };
enum { PLACE_BITS = 24, MOST_CHUNKS = 1 << (PLACE_BITS - CHUNK_BITS) };
struct chunk {			/* of control blocks: a place in the table is never given up */
	struct co *at;			/* CHUNK of them, or NULL: freed */
	struct co *idle;		/* free ones that are not in co_loop.free */
	unsigned idle_count;
	uint32_t gen;			/* where generations begin when it is made */
	char *arena;			/* of the first of an arena's chunks: the arena; or NULL */
};

extern WHORL__HIDDEN WHORL__TLS struct co_loop *whorl__loop;	/* inside a pass */
/* Set only while whorl__loop is; NULL: the loop itself, or a hook. */
extern WHORL__HIDDEN WHORL__TLS struct co *whorl__running;

static inline struct co *whorl__self(void)
{
	return whorl__running;
}

/* A call that suspends, in no coroutine: -EPERM; inside a loop it is misuse. */
WHORL__HIDDEN int whorl__misplaced(const void *site);
/* The coroutine, or NULL: -EPERM, and said so. */
static inline struct co *whorl__suspender(const void *site)
{
	struct co *co = whorl__self();

	if (WHORL__UNLIKELY(!co))
		whorl__misplaced(site);
	return co;
}

WHORL__HIDDEN void *whorl__alloc(struct co_loop *l, size_t size);
/* True: so much is mapped, by our own allocator. */
WHORL__HIDDEN bool whorl__maps(const struct co_loop *l, size_t size);
WHORL__HIDDEN void whorl__free(struct co_loop *l, void *ptr, size_t size);
WHORL__HIDDEN bool whorl__loop_alive(uint32_t serial);	/* of any thread */
WHORL__HIDDEN bool whorl__ref_alive_elsewhere(co_ref ref);

/* io.c, remote.c */
/* Descriptors: wakes who waits for one; -1: no limit. */
WHORL__HIDDEN void whorl__poll(struct co_loop *l, int timeout_ms);
WHORL__HIDDEN void whorl__free_fds(struct co_loop *l);
WHORL__HIDDEN void whorl__end_pool(struct co_loop *l);		/* work.c; nothing is abroad */
/* Cancels and posts that came from elsewhere. */
WHORL__HIDDEN void whorl__run_mail(struct co_loop *l);
/* Made when first asked for; NULL: -ENOMEM. */
WHORL__HIDDEN struct mailbox *whorl__mailbox(struct co_loop *l);

/* tidy.c: from tidy_at on, once in each pass. */
WHORL__HIDDEN void whorl__tidy(struct co_loop *l);

/* clock.c */
WHORL__HIDDEN co_ns whorl__clock(struct co_loop *l);	/* reads it */

/* A deadline, before a wait. The real clock is not read, which costs more than all else of a wait,
 * for one more than a second after the last reading: the loop reads it every 64 switches. An
 * injected one may have been moved by whoever asks. */
static inline bool may_be_past(const struct co *co, co_ns abs)
{
	const struct co_loop *l = co->loop;

	return abs != CO_FOREVER && (abs <= sat_add(l->latest, CO_SEC(1)) || l->opt.now);
}

static inline bool past(const struct co *co, co_ns abs)
{
	return may_be_past(co, abs) && abs <= whorl__clock(co->loop);
}

/* park.c: `w = whorl__wait_for(co, "…", abs, result)`, put it into a line, `return
 * whorl__park(co)`. Park returns by a jump to where the next coroutine goes on, and so does a call
 * that ends with it. */
static inline struct wait *whorl__wait_for(struct co *co, const char *what, co_ns abs,
					   int at_deadline)
{
	struct wait *w = &co->wait;

	list_init(&w->waiter.link);
	w->waiter.co = co;
	w->tick = op_tick(abs);
	w->leave = NULL;
	w->what = what;
	w->since = co->loop->latest;
	w->deaf = false;
	co->rc = at_deadline;
	return w;
}
WHORL__HIDDEN int whorl__park(struct co *co);
WHORL__HIDDEN void whorl__wake(struct co *co, int result);
WHORL__HIDDEN void whorl__interrupt(struct co *co); /* it is cancelled */
/* Behind all that are ready; a cancellation point when it goes on. */
WHORL__HIDDEN int whorl__yield(struct co *co);
/* After its deadlines changed, while it does not run. */
WHORL__HIDDEN void whorl__arm(struct co *co);
WHORL__HIDDEN void whorl__expire(struct co *co, uint64_t tick);	/* does what is due up to `tick` */

/* What a cancellation point begins with: tells if the coroutine is cancelled. `frame`: the public
 * function's FRAME(). Pass_point counts it, unless there is something to tell or to do: then it is
 * false, and point_slow does that. */
static inline int whorl__point(struct co *co, const void *frame);
static inline bool whorl__pass_point(struct co *co, const void *frame);
WHORL__HIDDEN int whorl__point_slow(struct co *co, const void *frame);
WHORL__HIDDEN int whorl__cancelled(struct co *co);	/* counts the -ECANCELED that it returns */
enum { PATIENCE = 64 };					/* points in a row that need not block */

/* What the switch to a coroutine that stopped is to return there. */
static inline void *whorl__resume_value(const struct co *co)
{
	return (void *)(intptr_t)co->rc;
}

/* scope.c */
static inline void whorl__node_root(struct node *n, struct node *parent, struct co *owner)
{
	n->parent = parent;
	n->inner = NULL;
	n->owner = owner;
	n->group = NULL;
	n->user = ROOT;
	n->share = NULL;
	n->gen = 0;
	n->site = NULL;
	n->deadline = CO_FOREVER;
	n->nearest = TICK_NEVER;
	n->cause = CO_CAUSE_NONE;
	n->shield = n->effective = false;
}
struct instant {		/* a deadline, and the time of the call that sets it */
	co_ns now, abs;
};
#define WHORL__NO_DEADLINE ((struct instant){ 0, CO_FOREVER })
/* Of a group's scope: without a deadline. */
WHORL__HIDDEN int whorl__begin(co_scope *s, struct group *group, const void *site);
/* 0: open, *out is its node. Negative: an error, after misuse. */
enum { FIND_FRESH = 1, FIND_OVER, FIND_NO_NODE };
enum { WHORL__SCOPE_OPEN = 0x5c02 }; /* co_scope.magic_ */
WHORL__HIDDEN int whorl__find_slow(const co_scope *s, struct node **out, const void *site);
static inline int whorl__find(const co_scope *s, struct node **out, const void *site)
{
	const struct co_loop *l = whorl__loop;

	if (WHORL__UNLIKELY(!s || !l || s->magic_ != WHORL__SCOPE_OPEN || s->loop_ != l->serial ||
			    s->self_ != s || ((struct node *)s->node_)->gen != s->gen_))
		return whorl__find_slow(s, out, site);
	*out = s->node_;
	return 0;
}
WHORL__HIDDEN void whorl__close_inner(struct co *co, struct node *n);
WHORL__HIDDEN void whorl__close(struct node *n, co_scope *s);
WHORL__HIDDEN void whorl__close_without_node(co_scope *s);
WHORL__HIDDEN int whorl__judge(co_scope *s, int rc);
WHORL__HIDDEN void whorl__cancel(struct node *n, enum co_cause_kind kind, int err,
				 const void *site);
WHORL__HIDDEN int whorl__scope_cancel(co_scope *s, int err, const void *site);
/* Over: without a call of its end? */
WHORL__HIDDEN bool whorl__closed_behind(const co_scope *s);
WHORL__HIDDEN bool whorl__bad_err(int err);
WHORL__HIDDEN void whorl__leaked_frames(struct co *co, const char *frame);
WHORL__HIDDEN void whorl__close_all(struct co *co);	/* at its return */

/* The scopes of dead frames: an object below the caller's frame, in the coroutine's own stack. May
 * be true in a generator whose stack lies higher: leaked_frames looks again. */
static inline bool whorl__may_leak(const struct co *co, const void *frame)
{
	uintptr_t user = (uintptr_t)co->scope->user;

	if (WHORL__LIKELY(user >= (uintptr_t)frame))
		return false;
	return WHORL__UNLIKELY(user >= (uintptr_t)co->fiber.stack.low);
}

static inline void whorl__check_frames(struct co *co, const void *frame)
{
	if (whorl__may_leak(co, frame))
		whorl__leaked_frames(co, frame);
}

static inline bool whorl__pass_point(struct co *co, const void *frame)
{
	if (WHORL__UNLIKELY(whorl__may_leak(co, frame) || co->scope->effective ||
			    --co->patience < 0))
		return false;
	co->ignored = 0;
	return true;
}

static inline int whorl__point(struct co *co, const void *frame)
{
	return WHORL__LIKELY(whorl__pass_point(co, frame)) ? 0 : whorl__point_slow(co, frame);
}

/* group.c */
WHORL__HIDDEN void whorl__group_init(struct group *g, struct node *node, enum co_group_mode mode);
/* Waits for every child. */
WHORL__HIDDEN void whorl__group_drain(struct group *g, struct co *owner);
WHORL__HIDDEN void whorl__group_free(struct co_loop *l, struct group *g);
WHORL__HIDDEN void whorl__child_done(struct co *co);
WHORL__HIDDEN void whorl__start_failed(struct start *start, int exit);
WHORL__HIDDEN void whorl__give_back(struct co *co);	/* the place that admit held for it */

/* coro.c */
WHORL__HIDDEN bool whorl__bad_attr(const struct co_attr *attr);
struct spawn {			/* what is asked for */
	co_fn *fn;
	void *arg;
	const struct co_attr *attr;	/* NULL: the loop's */
	const void *site;
	int *exit_out;
};
WHORL__HIDDEN int whorl__spawn(struct co_loop *l, struct group *g, const struct spawn *what,
			       struct co **out);
WHORL__HIDDEN int whorl__lookup(co_ref ref, struct co **out, const void *site);
WHORL__HIDDEN co_ref whorl__ref(const struct co *co);
WHORL__HIDDEN const char *whorl__name(const struct co *co);	/* never NULL */

/* blocks.c */
WHORL__HIDDEN bool whorl__more_blocks(struct co_loop *l);	/* in l->free; false: -ENOMEM */
static inline struct co *whorl__co_get(struct co_loop *l)	/* NULL: -ENOMEM */
{
	struct co *co;

	if (WHORL__UNLIKELY(!l->free) && !whorl__more_blocks(l))
		return NULL;
	co = l->free;
	l->free = co->next;
	return co;
}

static inline void whorl__co_free(struct co *co)
{
	struct co_loop *l = co->loop;

	co->state = STATE_FREE;
	co->next = l->free;
	l->free = co;
}

/* All of whose blocks are idle. */
WHORL__HIDDEN void whorl__chunk_free(struct co_loop *l, size_t n);
WHORL__HIDDEN void whorl__blocks_free(struct co_loop *l);	/* and their table */

/* report.c */
WHORL__HIDDEN void whorl__run_errand(struct co_loop *l);
/* Returns rc, which the mistaken call then returns. */
WHORL__HIDDEN int whorl__misuse(enum co_misuse kind, int rc, const void *site, const char *format,
				...) __attribute__((format(printf, 4, 5)));
/* The end of a scope before one inside it: where they began. */
WHORL__HIDDEN void whorl__misuse_order(const void *outer, const void *inner);
WHORL__HIDDEN void whorl__report(struct co_loop *l, enum co_report kind, const void *site,
				 const char *format, ...) __attribute__((format(printf, 4, 5)));
/* After a coroutine, or (NULL) a callback, that may have forked: if this is the child it ends, for
 * it would do the parent's work once more. */
WHORL__HIDDEN void whorl__stop_in_child(const struct co_loop *l, const char *coroutine);
/* The watchdog: from its cancel to its end. True: report_overdue is due, which calls hooks. */
WHORL__HIDDEN bool whorl__watch(struct co *co);
WHORL__HIDDEN void whorl__unwatch(struct co *co);
WHORL__HIDDEN void whorl__report_overdue(struct co_loop *l);
struct text {			/* grows to its size, then is cut */
	char *at, *end;
};
WHORL__HIDDEN void whorl__print(struct text *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
WHORL__HIDDEN void whorl__print_site(struct text *t, const void *site);
WHORL__HIDDEN void whorl__describe(struct text *t, const struct co *co);

#endif
