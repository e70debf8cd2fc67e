/* The timer wheel: a radix heap of timers.
 *
 * A tick is read as LEVELS digits of SLOT_BITS bits. Timers lie in slots, a row of them per level,
 * relative to a cursor that only moves forward: the level of a deadline is the highest digit in
 * which it differs from the cursor,
 *
 *	level = (63 - clz(expires ^ cursor)) / SLOT_BITS	(0 if they are equal)
 *
 * and its slot is that digit. So all of level n agrees with the cursor above digit n and is larger
 * in digit n: whatever lies in a lower level, or in a lower slot of the same level, expires
 * earlier. The first timer is in the lowest slot of the lowest level that is not empty, and two ctz
 * find it.
 *
 * The cursor may move anywhere inside that lowest slot once it is emptied, and up to the slot when
 * it is not: neither changes what was said of the others. Emptying a slot that `now` has reached is
 * all the work there is:
 *
 *	sparse (up to BATCH)	sorted into the run, from which pop takes the first that is due
 *	dense			all are filed again, at least one level lower
 *	dense, of level 0	one tick, nothing to divide: sorted by order of arming
 *
 * so a timer moves at most once per level. The run may reach beyond `now`. What is armed then for
 * a tick within it is filed like anything else, and merged into it when its slot is reached. Two
 * things are put off, because they then often need not be done at all: advance stores the time,
 * and the slots that it passed are emptied when pop gets to them; and a timer moved to a later
 * tick stays where it lies, and is filed again when its slot is emptied. Hence a timer may expire
 * after the end of its slot, never before its start. This is all that order rests on;
 * docs/wheel.md has the proof.
 *
 * To divide a dense slot of a million timers takes a while. So the slot that comes next is divided
 * ahead of time, some timers in each advance, into a row of its own, which becomes that of the
 * level below when the slot is reached. How many depends on how many expired since the advance
 * before: slots that follow each other mostly have as many, and so it is done before the time
 * comes. (Those that are disarmed do not count: where most are, the less is moved ahead the
 * better.)
 *
 * What was armed at now or earlier waits in the past list for the next advance. That files what the
 * cursor has not reached, and sorts the rest into the run. */
#include <whorl/wheel.h>

#define ROW_AHEAD	((size_t)(WHEEL_LEVELS - 1) * WHEEL_SLOTS + WHEEL_TOP_SLOTS)
#define SLOT_MASK	((unsigned)WHEEL_SLOTS - 1)
#define TICK_BITS	(WHEEL_SLOT_BITS * WHEEL_LEVELS < 64 ? WHEEL_SLOT_BITS * WHEEL_LEVELS : 64)
#define LAST_TICK	(UINT64_MAX >> (64 - TICK_BITS))
#define EINVAL_		22		/* a freestanding program has no <errno.h> */

/* These may be set lower, so that tests reach every case with few timers. */
#ifndef WHEEL_BATCH
/* a slot of up to this many is sorted, a fuller one divided */
#define WHEEL_BATCH	128
#endif
#ifndef WHEEL_MANY
/* from here on the timers outgrow the cache: use all chains of a slot */
#define WHEEL_MANY	32768
#endif
#ifndef WHEEL_LOOK
/* wheel_next looks at this many timers for the first of a slot */
#define WHEEL_LOOK	64
#endif
#ifndef WHEEL_AHEAD
/* a slot of fewer timers is not worth dividing ahead */
#define WHEEL_AHEAD	4096
#endif
#ifndef WHEEL_STEP
/* so many of them are moved in an advance, and two for each pop since the one before */
#define WHEEL_STEP	512
#endif
#ifndef WHEEL_FILED
#define WHEEL_FILED(timer) ((void)0)	/* for tests that count the moves of a timer */
#endif

_Static_assert(WHEEL_SLOT_BITS >= 1 && WHEEL_SLOT_BITS <= 6,
	       "a row of slots has one word of occupancy bits");
_Static_assert(WHEEL_SLOT_BITS *(WHEEL_LEVELS - 1) < 64,
	       "a level without a single bit of the tick");
_Static_assert(WHEEL_BATCH >= 1 && WHEEL_BATCH <= 255, "counted in bytes by distribute");
_Static_assert(sizeof(struct wheel_timer) <= 32, "part of the interface");
_Static_assert(sizeof(struct wheel) <= 48 * 1024, "part of the interface");

static unsigned lowest_bit(uint64_t word)	/* of a word that is not 0 */
{
	return (unsigned)__builtin_ctzll(word);
}

static unsigned level_of(uint64_t difference)
{
	return (63 - (unsigned)__builtin_clzll(difference | 1)) / WHEEL_SLOT_BITS;
}

static unsigned digit(uint64_t tick, unsigned level)
{
	return (unsigned)(tick >> (level * WHEEL_SLOT_BITS)) & SLOT_MASK;
}

/* The low bits that timers of one slot of this level may differ in. */
static uint64_t slot_range(unsigned level)
{
	return (UINT64_C(1) << (level * WHEEL_SLOT_BITS)) - 1;
}

/* First tick of a slot: the cursor above the level, the slot's digit in it, zeros below. */
static uint64_t slot_first(const struct wheel *w, unsigned level, unsigned slot)
{
	unsigned above = (level + 1) * WHEEL_SLOT_BITS;
	uint64_t high = above < 64 ? w->cursor_ & (UINT64_MAX << above) : 0;

	return high | (uint64_t)slot << (level * WHEEL_SLOT_BITS);
}

static size_t index_of(unsigned level, unsigned slot)
{
	return (size_t)level * WHEEL_SLOTS + slot;
}

static bool before(const struct wheel_timer *a, const struct wheel_timer *b)
{
	return a->expires_ != b->expires_ ? a->expires_ < b->expires_ : a->seq_ < b->seq_;
}

/* Of the run or the past list, where a later tick is not a mere store. */
static bool outside_slots(const struct wheel_timer *t)
{
	return t->seq_ & 1;
}

static void link_at(struct wheel_timer **at, struct wheel_timer *t)
{
	t->next_ = *at;
	t->back_ = at;
	if (t->next_)
		t->next_->back_ = &t->next_;
	*at = t;
}

/* ------------------------------------------------------------------------------ timers in slots */

static void file(struct wheel *w, struct wheel_timer *t)
{
	unsigned level = level_of(t->expires_ ^ w->cursor_);
	unsigned slot = digit(t->expires_, level);
	unsigned chain = w->count_ > WHEEL_MANY ? (unsigned)(t->seq_ >> 1) % WHEEL_CHAINS : 0;
	size_t index = index_of(level, slot);

	w->occupied_[level] |= UINT64_C(1) << slot;
	w->occupied_levels_ |= UINT64_C(1) << level;
	if (index == w->ahead_) {
		slot = digit(t->expires_, level - 1);
		index = ROW_AHEAD + slot;
		w->occupied_ahead_ |= UINT64_C(1) << slot;
	}
	link_at(&w->slot_[index].chain[chain], t);
	WHEEL_FILED(t);
}

static void mark_empty(struct wheel *w, unsigned level, unsigned slot)
{
	w->occupied_[level] &= ~(UINT64_C(1) << slot);
	if (!w->occupied_[level])
		w->occupied_levels_ &= ~(UINT64_C(1) << level);
}

static bool slot_is_empty(const struct wheel_slot_ *s)
{
	for (unsigned i = 0; i < WHEEL_CHAINS; i++)
		if (s->chain[i])
			return false;
	return true;
}

/* The lists of a slot became empty. One that is divided ahead has more in its row. */
static void left_empty(struct wheel *w, size_t index)
{
	if (index >= ROW_AHEAD) {
		w->occupied_ahead_ &= ~(UINT64_C(1) << (index - ROW_AHEAD));
		index = w->ahead_;
	}
	if (index == w->ahead_) {
		if (w->occupied_ahead_ || !slot_is_empty(&w->slot_[index]))
			return;
		w->ahead_ = SIZE_MAX;
	}
	mark_empty(w, (unsigned)(index / WHEEL_SLOTS), (unsigned)(index % WHEEL_SLOTS));
}

/* Takes an armed timer out of whichever list it is in. */
static void unlink_timer(struct wheel *w, struct wheel_timer *t)
{
	/* huge: not a chain's head */
	size_t at = (size_t)((uintptr_t)t->back_ - (uintptr_t)w->slot_);
	size_t index = at / sizeof(struct wheel_slot_);

	*t->back_ = t->next_;
	if (t->next_)
		t->next_->back_ = t->back_;
	else if (at < sizeof w->slot_ && slot_is_empty(&w->slot_[index]))
		left_empty(w, index);
	t->back_ = NULL;
	if (t->expires_ == w->soonest_)
		w->exact_ = false;
}

/* Where the next work is. Only while a level is occupied. */
static uint64_t lowest_slot(const struct wheel *w, unsigned *level, unsigned *slot)
{
	*level = lowest_bit(w->occupied_levels_);
	*slot = lowest_bit(w->occupied_[*level]);
	return slot_first(w, *level, *slot);
}

/* The timers of a slot, to empty it or to look at it. Drawing from its chains in turn keeps a cache
 * miss of each in flight. */
struct feed {
	struct wheel_timer *chain[WHEEL_CHAINS];
	unsigned chains, turn;
};

static void feed_from(struct feed *f, const struct wheel_slot_ *s)
{
	f->chains = f->turn = 0;
	for (unsigned i = 0; i < WHEEL_CHAINS; i++)
		if (s->chain[i])
			f->chain[f->chains++] = s->chain[i];
}

/* The same, and takes them out. */
static void feed_off(struct feed *f, struct wheel_slot_ *s)
{
	feed_from(f, s);
	*s = (struct wheel_slot_){ 0 };
}

static struct wheel_timer *draw(struct feed *f)
{
	struct wheel_timer *t;

	if (!f->chains)
		return NULL;
	if (f->turn >= f->chains)
		f->turn = 0;
	t = f->chain[f->turn];
	if (t->next_) {
		__builtin_prefetch(t->next_, 1);
		f->chain[f->turn++] = t->next_;
	} else {
		f->chain[f->turn] = f->chain[--f->chains];
	}
	return t;
}

/* ------------------------------------------------------------------------- order of what is due */

/* Sorts a list, linked by next_ alone: bin i holds a sorted list of 2^i timers or none. */
static struct wheel_timer *merge(struct wheel_timer *a, struct wheel_timer *b)
{
	struct wheel_timer *list = NULL, **end = &list;

	while (a && b) {
		struct wheel_timer **first = before(a, b) ? &a : &b;

		*end = *first;
		end = &(*first)->next_;
		*first = *end;
	}
	*end = a ? a : b;
	return list;
}

static struct wheel_timer *sort_list(struct wheel_timer *list)
{
	struct wheel_timer *bin[64] = { NULL }, *t;

	while (list) {
		unsigned i = 0;

		t = list;
		list = t->next_;
		t->next_ = NULL;
		for (; bin[i]; bin[i++] = NULL)
			t = merge(bin[i], t);
		bin[i] = t;
	}
	for (unsigned i = 0; i < 64; i++)
		list = merge(bin[i], list);
	return list;
}

/* Brings timers of one slot near to their places, by the digit below that of the slot. */
static void distribute(struct wheel_timer *v[], unsigned n, unsigned level)
{
	struct wheel_timer *from[WHEEL_BATCH];
	unsigned char end[WHEEL_SLOTS] = { 0 };

	for (unsigned i = 0; i < n; i++) {
		from[i] = v[i];
		end[digit(v[i]->expires_, level - 1)]++;
	}
	for (unsigned i = 1; i < WHEEL_SLOTS; i++)
		end[i] = (unsigned char)(end[i] + end[i - 1]);
	for (unsigned i = n; i-- > 0;)
		v[--end[digit(from[i]->expires_, level - 1)]] = from[i];
}

static void reverse(struct wheel_timer *v[], unsigned n)
{
	for (unsigned i = 0, j = n; i + 1 < j; i++) {
		struct wheel_timer *t = v[i];

		v[i] = v[--j];
		v[j] = t;
	}
}

static void sort_batch(struct wheel_timer *v[], unsigned n, unsigned level)
{
	if (n > 1 && before(v[n - 1], v[0]))	/* a chain that was filed once gives the last armed
						 * first */
		reverse(v, n);
	if (n > 16 && level > 0)
		distribute(v, n, level);
	for (unsigned i = 1; i < n; i++) {
		struct wheel_timer *t = v[i];
		unsigned at = i;

		for (; at > 0 && before(t, v[at - 1]); at--)
			v[at] = v[at - 1];
		v[at] = t;
	}
}

/* Merges a sorted list into the run. */
static void add_to_run(struct wheel *w, struct wheel_timer *list)
{
	struct wheel_timer **at = &w->run_;

	while (list) {
		struct wheel_timer *t = list;

		list = t->next_;
		t->seq_ |= 1;
		while (*at && before(*at, t))
			at = &(*at)->next_;
		link_at(at, t);
		at = &t->next_;
	}
}

/* ------------------------------------------------------------------------------ emptying a slot */

/* The whole slot is in `v`; those that were moved beyond its `last` tick are filed again. */
static void empty_sparse(struct wheel *w, struct wheel_timer *v[], unsigned n, unsigned level,
			 uint64_t last)
{
	struct wheel_timer *list = NULL;
	unsigned kept = 0;

	w->cursor_ = last < w->now_ ? last : w->now_;
	for (unsigned i = 0; i < n; i++)
		if (v[i]->expires_ > last)
			file(w, v[i]);
		else
			v[kept++] = v[i];
	sort_batch(v, kept, level);
	while (kept > 0) {
		v[--kept]->next_ = list;
		list = v[kept];
	}
	add_to_run(w, list);
}

/* One tick with too many timers to sort as a batch. */
static void empty_ties(struct wheel *w, struct wheel_timer *v[], unsigned n, struct feed *f,
		       uint64_t tick)
{
	struct wheel_timer *list = NULL, *t;

	w->cursor_ = tick;
	while ((t = n > 0 ? v[--n] : draw(f)) != NULL) {
		if (t->expires_ > tick) {
			file(w, t);
		} else {
			t->next_ = list;
			list = t;
		}
	}
	add_to_run(w, sort_list(list));
}

/* Returns how many there were. */
static size_t empty_dense(struct wheel *w, struct wheel_timer *v[], unsigned n, struct feed *f,
			  uint64_t first)
{
	struct wheel_timer *t;
	size_t filed = 0;

	w->cursor_ = first;
	for (; (t = n > 0 ? v[--n] : draw(f)) != NULL; filed++)
		file(w, t);
	return filed;
}

/* ------------------------------------------------------------------------------ the row ahead */

static bool holds(const struct wheel_slot_ *s, size_t timers)
{
	struct feed f;

	feed_from(&f, s);
	while (timers > 0 && draw(&f))
		timers--;
	return timers == 0;
}

/* A slot of this level was divided that had so many timers: the next one probably has as many. The
 * first of a higher level takes longer, if it has no fewer: counting them costs less than what was
 * done. */
static void look_ahead(struct wheel *w, unsigned level, size_t timers)
{
	uint64_t higher = w->occupied_levels_ & (UINT64_MAX << level << 1);
	size_t next = 0;

	if (w->ahead_ != SIZE_MAX || timers * WHEEL_SLOTS < WHEEL_AHEAD)
		return;
	if (higher) {
		unsigned above = lowest_bit(higher);

		next = index_of(above, lowest_bit(w->occupied_[above]));
		if (!holds(&w->slot_[next], timers))
			next = 0;
	}
	if (!next && timers >= WHEEL_AHEAD && w->occupied_[level])
		next = index_of(level, lowest_bit(w->occupied_[level]));
	if (next >= index_of(2, 0))
		w->ahead_ = next;
}

/* Moves up to so many timers from the slot to its row. */
static void divide_ahead(struct wheel *w, size_t most)
{
	size_t index = w->ahead_;
	struct wheel_slot_ *s = &w->slot_[index];
	struct wheel_timer *t;
	struct feed f;

	feed_off(&f, s);
	while (most-- > 0 && (t = draw(&f)) != NULL)
		file(w, t);
	while (f.chains-- > 0) {
		s->chain[f.chains] = f.chain[f.chains];
		s->chain[f.chains]->back_ = &s->chain[f.chains];
	}
	if (slot_is_empty(s))
		left_empty(w, index);
}

/* The slot is the first of all, and reached: its row becomes that of the level below, which is
 * empty. Of that the first slot is divided too, as the cursor is in it. */
static void enter_row_ahead(struct wheel *w, unsigned level, unsigned slot, uint64_t first)
{
	struct feed f;

	divide_ahead(w, SIZE_MAX);
	if (w->ahead_ == SIZE_MAX)
		return;
	w->ahead_ = SIZE_MAX;
	w->cursor_ = first;
	mark_empty(w, level--, slot);
	feed_off(&f, &w->slot_[ROW_AHEAD]);
	for (uint64_t left = w->occupied_ahead_ & ~UINT64_C(1); left; left &= left - 1) {
		struct wheel_slot_ *from = &w->slot_[ROW_AHEAD + lowest_bit(left)];
		struct wheel_slot_ *to = &w->slot_[index_of(level, lowest_bit(left))];

		*to = *from;
		for (unsigned i = 0; i < WHEEL_CHAINS; i++) {
			if (to->chain[i])
				to->chain[i]->back_ = &to->chain[i];
			from->chain[i] = NULL;
		}
		w->occupied_[level] |= UINT64_C(1) << lowest_bit(left);
		w->occupied_levels_ |= UINT64_C(1) << level;
	}
	w->occupied_ahead_ = 0;
	empty_dense(w, NULL, 0, &f, first);
	look_ahead(w, level + 1, WHEEL_AHEAD);
}

/* Empties the lowest slot if it begins at `bound` (<= now) or before; in any case soonest_ grows or
 * a slot is emptied. */
static void collect(struct wheel *w, uint64_t bound)
{
	struct wheel_timer *batch[WHEEL_BATCH], *t;
	unsigned level, slot, n = 0;
	uint64_t first = lowest_slot(w, &level, &slot), last = first | slot_range(level);
	struct feed f;

	w->exact_ = false;
	if (first > bound) {
		if (first > w->now_)
			w->cursor_ = w->now_;
		w->soonest_ = first;
		return;
	}
	if (index_of(level, slot) == w->ahead_) {
		enter_row_ahead(w, level, slot, first);
	} else {
		feed_off(&f, &w->slot_[index_of(level, slot)]);
		mark_empty(w, level, slot);
		while (n < WHEEL_BATCH && (t = draw(&f)) != NULL)
			batch[n++] = t;
		if (!f.chains)
			empty_sparse(w, batch, n, level, last);
		else if (level > 0)
			look_ahead(w, level, empty_dense(w, batch, n, &f, first));
		else
			empty_ties(w, batch, n, &f, first);
	}
	w->soonest_ = w->occupied_levels_ ? lowest_slot(w, &level, &slot) : UINT64_MAX;
}

/* A second look at the first slot: exact if it has few timers, else its first tick, and so if they
 * are in the row ahead. Timers beyond the slot's end were moved later, and other slots may come
 * before them. They are drawn as when it is emptied: chain by chain their misses would add up (W7 at
 * 100 000: 224 to 192 ns). */
static void look(struct wheel *w)
{
	unsigned level, slot, seen = 0;
	uint64_t first = lowest_slot(w, &level, &slot), last = first | slot_range(level);
	uint64_t least = last < UINT64_MAX ? last + 1 : UINT64_MAX;
	bool many = index_of(level, slot) == w->ahead_;
	const struct wheel_timer *t;
	struct feed f;

	w->exact_ = true;
	feed_from(&f, &w->slot_[index_of(level, slot)]);
	while (!many && (t = draw(&f)) != NULL) {
		many = seen++ == WHEEL_LOOK;
		if (t->expires_ < least)
			least = t->expires_;
	}
	if (!many)
		w->soonest_ = least;
	else if (w->soonest_ < first)
		w->soonest_ = first;
}

/* A timer that was in no slot. */
static inline void file_new(struct wheel *w, struct wheel_timer *t)
{
	if (!w->occupied_levels_)
		w->soonest_ = UINT64_MAX;
	if (t->expires_ < w->soonest_) {
		w->soonest_ = t->expires_;
		w->exact_ = true;
	}
	file(w, t);
}

/* What was armed at now or earlier becomes due. In the run it is looked for a place from the front,
 * so only what slots cannot hold any more goes there. */
static void take_past(struct wheel *w)
{
	struct wheel_timer *reached = NULL, *t;

	while ((t = w->past_) != NULL) {
		w->past_ = t->next_;
		if (t->expires_ > w->cursor_) {
			t->seq_ &= ~UINT64_C(1);
			file_new(w, t);
		} else {
			t->next_ = reached;
			reached = t;
		}
	}
	add_to_run(w, sort_list(reached));
}

/* -------------------------------------------------------------------------------- the interface */

void wheel_init(struct wheel *w, uint64_t now)
{
	__builtin_memset(w, 0, sizeof *w);	/* an initialiser would build 48 KiB on the stack
						 * first */
	w->now_ = w->cursor_ = now;
	w->soonest_ = UINT64_MAX;
	w->ahead_ = SIZE_MAX;
}

void wheel_timer_init(struct wheel_timer *t)
{
	*t = (struct wheel_timer){ 0 };
}

void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t expires)
{
	bool store = t->back_ && !outside_slots(t) && expires >= t->expires_ && expires > w->now_;

	t->seq_ = w->seq_ += 2;
	if (store) {
		if (t->expires_ == w->soonest_)
			w->exact_ = false;
		t->expires_ = expires;
		return;
	}
	if (t->back_)
		unlink_timer(w, t);
	else
		w->count_++;
	t->expires_ = expires;
	if (expires <= w->now_) {
		t->seq_ |= 1;
		link_at(&w->past_, t);
		return;
	}
	if (!w->occupied_levels_)
		w->cursor_ = w->now_;
	file_new(w, t);
}

/* Of all ticks in [expires, expires + slack] the one with the most zeros at its end: in binary, the
 * last number up to the end of the interval that begins like it as far as `expires - 1` does, one
 * digit further, and then has zeros only. */
void wheel_arm_slack(struct wheel *w, struct wheel_timer *t, uint64_t expires, uint64_t slack)
{
	if (expires > w->now_ && slack > 0) {
		uint64_t end = slack < LAST_TICK - expires ? expires + slack : LAST_TICK;

		expires = end & (UINT64_MAX << (63 - __builtin_clzll((expires - 1) ^ end)));
	}
	wheel_arm(w, t, expires);
}

bool wheel_disarm(struct wheel *w, struct wheel_timer *t)
{
	if (!t->back_)
		return false;
	unlink_timer(w, t);
	w->count_--;
	return true;
}

bool wheel_armed(const struct wheel_timer *t)
{
	return t->back_ != NULL;
}

uint64_t wheel_expires(const struct wheel_timer *t)
{
	return t->expires_;
}

uint64_t wheel_next(struct wheel *w)
{
	uint64_t first = w->run_ ? w->run_->expires_ : WHEEL_NEVER;

	if (w->past_)
		return w->now_;
	if (first <= w->now_ || !w->occupied_levels_ || first <= w->soonest_)
		return first;
	if (!w->exact_)
		look(w);
	return w->soonest_ < first ? w->soonest_ : first;
}

/* Mostly time goes on by a small step, and nothing is due. What takes longer is apart, so that an
 * advance and a pop of nothing save no registers (W3 at 1000, ten of each for a timer: 188 to 174
 * ns). */
static inline void set_now(struct wheel *w, uint64_t now)
{
	w->now_ = now;
	w->popped_ = 0;
}

static __attribute__((noinline)) void work_and_advance(struct wheel *w, uint64_t now)
{
	if (w->past_ && now >= w->now_)
		take_past(w);
	if (now <= w->now_)
		return;
	if (w->ahead_ != SIZE_MAX)
		divide_ahead(w, WHEEL_STEP + 2 * w->popped_);
	set_now(w, now);
}

void wheel_advance(struct wheel *w, uint64_t now)
{
	if (w->past_ || w->ahead_ != SIZE_MAX)
		work_and_advance(w, now);
	else if (now > w->now_)
		set_now(w, now);
}

/* A slot may have timers that come before the first of the run: it begins at `bound` or before. */
static inline bool slot_comes_first(const struct wheel *w, uint64_t *bound)
{
	*bound = w->run_ && w->run_->expires_ < w->now_ ? w->run_->expires_ : w->now_;
	return w->soonest_ <= *bound && w->occupied_levels_;
}

static inline struct wheel_timer *take_first(struct wheel *w)
{
	struct wheel_timer *t = w->run_;

	if (!t || t->expires_ > w->now_)
		return NULL;
	w->count_--;
	w->popped_++;
	unlink_timer(w, t);
	return t;
}

static __attribute__((noinline)) struct wheel_timer *collect_and_take(struct wheel *w,
								      uint64_t bound)
{
	do
		collect(w, bound);
	while (slot_comes_first(w, &bound));
	return take_first(w);
}

struct wheel_timer *wheel_pop(struct wheel *w)
{
	uint64_t bound;

	return slot_comes_first(w, &bound) ? collect_and_take(w, bound) : take_first(w);
}

struct wheel_timer *wheel_peek(const struct wheel *w, const struct wheel_timer *t)
{
	return t ? t->next_ : w->run_;
}

uint64_t wheel_now(const struct wheel *w)
{
	return w->now_;
}

size_t wheel_count(const struct wheel *w)
{
	return w->count_;
}

/* ---------------------------------------------------------------------------------- the checker */

static unsigned slots_of(unsigned level)
{
	return level < WHEEL_LEVELS - 1 ? WHEEL_SLOTS : WHEEL_TOP_SLOTS;
}

/* Walks one list; adds its timers, all at `least` or later, to *seen. Returns what is wrong, NULL
 * if nothing is. */
static const char *check_list(const struct wheel *w, struct wheel_timer *const *head, bool slot,
			      uint64_t least, size_t *seen)
{
	struct wheel_timer *const *back = head;

	for (const struct wheel_timer *t = *head; t; back = &t->next_, t = t->next_) {
		if (++*seen > w->count_)
			return "more timers in the lists than are counted";
		if (t->back_ != back)
			return "a timer does not point back to what points at it";
		if (t->expires_ < least)
			return "a timer lies in a slot that begins after it expires";
		if (outside_slots(t) == slot)
			return "a timer's mark does not say whether it is in a slot";
		if (t->seq_ >> 1 > w->seq_ >> 1)
			return "a timer has a number of arming that was never given";
	}
	return NULL;
}

static const char *check_chains(const struct wheel *w, const struct wheel_slot_ *s, uint64_t first,
				size_t *seen)
{
	const char *wrong;

	for (unsigned i = 0; i < WHEEL_CHAINS; i++) {
		wrong = check_list(w, &s->chain[i], true,
				   first > w->soonest_ ? first : w->soonest_, seen);
		if (wrong)
			return wrong;
	}
	return NULL;
}

static const char *check_row_ahead(const struct wheel *w, uint64_t first, unsigned level,
				   size_t *seen)
{
	const char *wrong = NULL;

	for (unsigned slot = 0; slot < WHEEL_SLOTS && !wrong; slot++) {
		const struct wheel_slot_ *s = &w->slot_[ROW_AHEAD + slot];

		if ((w->occupied_ahead_ >> slot & 1) == slot_is_empty(s))
			return "an occupancy bit of the row ahead disagrees with its slot";
		wrong = check_chains(w, s, first | (uint64_t)slot << (level * WHEEL_SLOT_BITS),
				     seen);
	}
	return wrong;
}

static const char *check_slot(const struct wheel *w, unsigned level, unsigned slot, size_t *seen)
{
	bool occupied = w->occupied_[level] >> slot & 1;
	size_t index = index_of(level, slot);
	bool ahead = index == w->ahead_;
	uint64_t first = slot_first(w, level, slot);
	const char *wrong = NULL;

	if (occupied != (!slot_is_empty(&w->slot_[index]) || (ahead && w->occupied_ahead_)))
		return "an occupancy bit disagrees with its slot";
	if (ahead && !occupied)
		return "a slot that is empty is divided ahead";
	if (occupied && (level > 0 ? first <= w->cursor_ : first < w->cursor_))
		return "a slot at the cursor or behind it is not empty";
	if (ahead)
		wrong = check_row_ahead(w, first, level - 1, seen);
	return wrong ? wrong : check_chains(w, &w->slot_[index], first, seen);
}

static const char *check_wheel(const struct wheel *w)
{
	size_t seen = 0;
	const char *wrong;

	if (w->cursor_ > w->now_)
		return "the cursor is ahead of now";
	if (w->occupied_levels_ >> WHEEL_LEVELS)
		return "a bit is set of a level that there is not";
	if (w->ahead_ == SIZE_MAX ? w->occupied_ahead_ != 0
				  : w->ahead_ < index_of(2, 0) || w->ahead_ >= ROW_AHEAD)
		return "no such slot can be divided ahead";
	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		if ((w->occupied_levels_ >> level & 1) != (w->occupied_[level] != 0))
			return "the bits of the levels disagree with those of the slots";
		if (slots_of(level) < 64 && w->occupied_[level] >> (slots_of(level) & 63))
			return "a bit is set of a slot that there is not";
		for (unsigned slot = 0; slot < slots_of(level); slot++)
			if ((wrong = check_slot(w, level, slot, &seen)) != NULL)
				return wrong;
	}
	if ((wrong = check_list(w, &w->run_, false, 0, &seen)) != NULL ||
	    (wrong = check_list(w, &w->past_, false, 0, &seen)) != NULL)
		return wrong;
	for (const struct wheel_timer *t = w->run_; t && t->next_; t = t->next_)
		if (before(t->next_, t))
			return "the run is out of order";
	for (const struct wheel_timer *t = w->past_; t; t = t->next_)
		if (t->expires_ > w->now_)
			return "a timer is past that expires after now";
	return seen == w->count_ ? NULL : "fewer timers in the lists than are counted";
}

int wheel_check(const struct wheel *w, const char **why)
{
	const char *wrong = check_wheel(w);

	if (wrong && why)
		*why = wrong;
	return wrong ? -EINVAL_ : 0;
}
