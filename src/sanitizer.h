/* What sanitizers are told: AddressSanitizer, ThreadSanitizer, LeakSanitizer, if the program has
 * one of them.
 *
 * It is looked for when the program runs, by weak references to its runtime: one build of the
 * library is for all programs, and where there is no sanitizer no switch has an instruction more.
 * Where there is one all fibers have WHORL__FIBER_SANITIZED, which sends them the slow way. */
#ifndef WHORL_SRC_SANITIZER_H
#define WHORL_SRC_SANITIZER_H

#include "core.h"

/* The interfaces of compiler-rt, sanitizer/common_interface_defs.h and tsan_interface.h, which
 * gcc's runtimes share. */
WHORL__WEAK void __sanitizer_start_switch_fiber(void **save, const void *low, size_t size);
WHORL__WEAK void __tsan_switch_to_fiber(void *fiber, unsigned flags);

/* One whose frames are large: variables with red zones between them. */
static inline bool whorl__sanitizer_frames(void)
{
	return __sanitizer_start_switch_fiber != NULL || __tsan_switch_to_fiber != NULL;
}

static inline bool whorl__sanitizer_present(void)
{
	return whorl__sanitizer_frames() || whorl__lsan_present();
}

/* How they see a fiber; on its own stack, or the thread's. */
struct whorl__seen {
	const struct whorl__fiber *fiber;
	const char *low;  /* of its stack, and `size` bytes. The thread's own: as ASan said when */
	size_t size;	  /* it was last left; NULL: not yet, or no ASan */
	void *fake_stack; /* ASan's, while it is stopped */
	void *tsan;	  /* what TSan calls it */
	whorl__entry_fn *entry;
	void *arg;
	struct whorl__seen *next, **at; /* among the thread's: and where that has its address */
};

WHORL__HIDDEN void whorl__seen_thread(struct whorl__seen *own, const struct whorl__fiber *f);
/* Of a fiber that has all but its sp. The entry to give it instead, whose `arg` is `seen`. */
WHORL__HIDDEN whorl__entry_fn *whorl__seen_begin(struct whorl__seen *seen,
						 const struct whorl__fiber *f,
						 whorl__entry_fn *entry, void *arg);
/* By the fiber that leaves, before the stub; `ends`: for ever. */
WHORL__HIDDEN void whorl__seen_leave(struct whorl__seen *from, const struct whorl__seen *to,
				     bool ends);
/* By the one that arrives, behind the stub. */
WHORL__HIDDEN void whorl__seen_arrive(struct whorl__seen *self);
/* It is stopped and will not run again. */
WHORL__HIDDEN void whorl__seen_drop(struct whorl__seen *seen);

#endif
