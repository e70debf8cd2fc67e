/* K7: whatever unwinds from inside a coroutine finds the calls that led there, and ends cleanly where
 * the coroutine begins: libgcc's unwinder, which C++ and thread cancellation use, libc's backtrace,
 * libunwind, and what follows frame pointers, as profilers do. This file keeps those; the library's
 * own functions need not. */
#define _GNU_SOURCE 1
#include <signal.h>
#include <ucontext.h>
#include <unwind.h>
#include <whorl/co.h>
#include <whorl/coro.h>
#if __has_include(<execinfo.h>)
#include <execinfo.h>
#define HAVE_BACKTRACE 1
#endif
#ifdef HAVE_LIBUNWIND
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#endif

#include "suite.h"

/* Of the stubs in assembly. With ucontext libc's makecontext makes the first frame: that can be
 * unwound by its tables, but neither by frame pointers nor at each instruction. */
void whorl__fiber_start(void) __attribute__((weak));
#define START_SIZE 64

struct walk {
	void *place[64];
	int count;
	bool clean; /* it ended because there is no caller */
};

/* ------------------------------------------------------------------------------------- unwinders */

static _Unwind_Reason_Code note(struct _Unwind_Context *context, void *arg)
{
	struct walk *w = arg;

	if (w->count == 64)
		return _URC_END_OF_STACK;
	if (_Unwind_GetIP(context) != 0) /* on aarch64 the end is handed out as well */
		w->place[w->count++] = (void *)_Unwind_GetIP(context);
	return _URC_NO_REASON;
}

/* On arm it does not hand out a function that has no caller, and calls that a failure (EHABI32 9.3,
 * "cantunwind"). */
#ifdef __ARM_EABI_UNWINDER__
#define ENDED _URC_FAILURE
#define HANDS_OUT_START false
#else
#define ENDED _URC_END_OF_STACK
#define HANDS_OUT_START true
#endif

static void by_libgcc(struct walk *w)
{
	w->clean = _Unwind_Backtrace(note, w) == ENDED && w->count < 64;
}

#ifdef HAVE_BACKTRACE
static void by_libc(struct walk *w)
{
	w->count = backtrace(w->place, 64);
	w->clean = w->count < 64;
}
#endif

#ifdef HAVE_LIBUNWIND
static void by_libunwind(struct walk *w)
{
	unw_context_t context;
	unw_cursor_t cursor;
	unw_word_t place;
	int more;

	unw_getcontext(&context);
	unw_init_local(&cursor, &context);
	do {
		unw_get_reg(&cursor, UNW_REG_IP, &place);
		w->place[w->count++] = (void *)place;
		more = unw_step(&cursor);
	} while (more > 0 && w->count < 64);
	w->clean = more == 0;
}
#endif

/* A frame record is the caller's and a place in its code, on x86-64 as on aarch64; there the place
 * may be signed, in bits that no address of a program has. */
#if defined(__x86_64__) || defined(__aarch64__)
static void by_frame_pointers(struct walk *w)
{
	void **record = __builtin_frame_address(0);

	for (; record != NULL && w->count < 64; record = *record) {
		void **next = *record;

		w->place[w->count++] = (void *)((uintptr_t)record[1] & (UINT64_MAX >> 16));
		if (next != NULL && next <= record)
			return;
	}
	w->clean = record == NULL;
}
#endif

/* ---------------------------------------------------------------------------- in each kind of body */

typedef void walker(struct walk *w);

static walker *walk_by;
static bool start_seen; /* it is handed out, as the last frame */
static int walks;

static bool in_start(const void *place)
{
	uintptr_t offset = (uintptr_t)place - (uintptr_t)whorl__fiber_start;

	return whorl__fiber_start == NULL || offset <= START_SIZE;
}

/* Where a call returns to; arm has the kind of code, ARM or Thumb, in the lowest bit. */
#ifdef __arm__
#define RETURNS_TO() ((const void *)((uintptr_t)__builtin_return_address(0) & ~(uintptr_t)1))
#else
#define RETURNS_TO() __builtin_extract_return_addr(__builtin_return_address(0))
#endif

static int innermost(const void *in_body)
{
	const void *in_middle = RETURNS_TO();
	struct walk w = { .count = 0 };
	int i = 0, found = 0;

	walk_by(&w);
	for (; i < w.count && w.place[i] != in_middle; i++)
		;
	for (found = i; i < w.count && w.place[i] != in_body; i++)
		;
	ck_assert_msg(w.clean, "not ended after %d frames", w.count);
	ck_assert_msg(i < w.count, "not found: calls %d, %d of %d", found, i, w.count);
	ck_assert_int_eq(i - found, 1);
	if (start_seen)
		ck_assert_msg(in_start(w.place[w.count - 1]), "the last frame is another's");
	return ++walks;
}

/* Called by pointers that may be any, and with something left to do: so these calls are calls. */
static int middle(void);
static int (*volatile call_innermost)(const void *in_body) = innermost;
static int (*volatile call_middle)(void) = middle;

static int middle(void)
{
	return call_innermost(RETURNS_TO()) + 1;
}

static int walk(void)
{
	return call_middle() + 1;
}

static void *raw_body(void *arg)
{
	walk();
	co_raw_suspend(NULL);
	walk();
	return arg;
}

static int gen_body(co_gen *gen, void *arg)
{
	(void)arg;
	walk();
	co_gen_emit(gen, NULL, NULL);
	walk();
	return 0;
}

static int scheduled_body(void *arg)
{
	(void)arg;
	walk();
	co_sleep(0);
	walk();
	return 0;
}

static void walk_everywhere(walker *by, bool hands_out_start)
{
	struct co_raw *raw;
	co_gen *gen;

	walk_by = by;
	start_seen = hands_out_start;
	walks = 0;
	ck_assert_int_eq(co_raw_create(&raw, raw_body, NULL), 0);
	ck_assert_int_eq(co_raw_resume(raw, NULL, NULL), 1);
	ck_assert_int_eq(co_raw_resume(raw, NULL, NULL), 0);
	co_raw_destroy(raw);
	ck_assert_int_eq(co_gen_make(&gen, gen_body, NULL, NULL), 0);
	ck_assert_int_eq(co_gen_next(gen, NULL), 1);
	ck_assert_int_eq(co_gen_next(gen, NULL), 0);
	co_gen_free(gen);
	ck_assert_int_eq(co_run(scheduled_body, NULL, NULL, NULL), 0);
	ck_assert_int_eq(walks, 6);
}

START_TEST(libgcc)
{
	walk_everywhere(by_libgcc, HANDS_OUT_START);
}
END_TEST

#ifdef HAVE_BACKTRACE
START_TEST(backtrace_of_libc)
{
	walk_everywhere(by_libc, HANDS_OUT_START);
}
END_TEST
#endif

#ifdef HAVE_LIBUNWIND
START_TEST(libunwind)
{
	walk_everywhere(by_libunwind, true);
}
END_TEST
#endif

#if defined(__x86_64__) || defined(__aarch64__)
START_TEST(frame_pointers)
{
	if (whorl__fiber_start == NULL)
		return;
	walk_everywhere(by_frame_pointers, false);
}
END_TEST
#endif

/* ------------------------------------------------------------------------------ at each instruction
 *
 * As a profiler's signal may come: the CPU traps after each instruction (Intel SDM volume 3, 18.3.1.4
 * "Single-Step Exception Condition") while a coroutine is entered, left and entered again, and the
 * handler unwinds. */
#if defined(__x86_64__)
static volatile int instructions, unclean, in_coroutine;

static void look(int sig)
{
	struct walk w = { .count = 0 };

	(void)sig;
	by_libgcc(&w);
	instructions++;
	unclean += !w.clean;
	in_coroutine += in_start(w.place[w.count - 1]);
}

static void trap(bool on)
{
	if (on)
		__asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq" : : : "cc", "memory");
	else
		__asm__ volatile("pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq" : : : "cc", "memory");
}

static void *bounce(void *arg)
{
	for (;;)
		arg = co_raw_suspend(arg);
	return arg;
}

START_TEST(a_signal_at_each_instruction)
{
	struct sigaction action = { .sa_handler = look };
	struct co_raw *raw;

	if (whorl__fiber_start == NULL)
		return;
	ck_assert_int_eq(co_raw_create(&raw, bounce, NULL), 0);
	ck_assert_int_eq(sigaction(SIGTRAP, &action, NULL), 0);
	trap(true);
	for (int i = 0; i < 3; i++)
		co_raw_resume(raw, NULL, NULL);
	trap(false);
	ck_assert_int_eq(unclean, 0);
	ck_assert_msg(instructions > 200 && in_coroutine > 80 && in_coroutine < instructions - 80,
		      "%d instructions, %d in the coroutine", instructions, in_coroutine);
	co_raw_destroy(raw);
}
END_TEST
#endif

SUITE("unwind",
#ifdef HAVE_BACKTRACE
      backtrace_of_libc,
#endif
#ifdef HAVE_LIBUNWIND
      libunwind,
#endif
#if defined(__x86_64__) || defined(__aarch64__)
      frame_pointers,
#endif
#if defined(__x86_64__)
      a_signal_at_each_instruction,
#endif
      libgcc)
