/* The switch between fibers by swapcontext(3), for CPUs without a stub.
 *
 * A stopped fiber's frame is a variable of the whorl__switch that it stopped in; the first one lies
 * where whorl__frame_make put it. The FP environment goes along with the switch, as it does in the
 * stubs, where it is the thread's: some systems' swapcontext would give each fiber one of its
 * own. All systems' would do so with the signal mask, which goes along too, for a system call
 * more. */
#define _GNU_SOURCE 1
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "core.h"
#include "frame.h"

struct whorl__frame {
	ucontext_t context;
	struct whorl__fpenv fpenv; /* of whoever switched here */
	void *value;
	void (*entry)(void *arg, void *value);
	void *arg;
};

#define ROOM ((size_t)8 << 10) /* of stack, for makecontext: less than the smallest has */

/* makecontext(3) passes ints: the pointer comes in two halves. */
static void start(unsigned high, unsigned low)
{
	struct whorl__frame *frame = (void *)(uintptr_t)((uint64_t)high << 32 | low);

	fesetenv(&frame->fpenv.fenv);
	frame->entry(frame->arg, frame->value);
	__builtin_unreachable();
}

void *whorl__frame_make(char *base, void (*entry)(void *arg, void *value), void *arg)
{
	uintptr_t at = ((uintptr_t)base - sizeof(struct whorl__frame)) & ~(uintptr_t)63;
	struct whorl__frame *frame = (void *)at;

	frame->entry = entry;
	frame->arg = arg;
	getcontext(&frame->context);
	frame->context.uc_stack.ss_sp = (char *)at - ROOM;
	frame->context.uc_stack.ss_size = ROOM;
	frame->context.uc_link = NULL;
	makecontext(&frame->context, (void (*)(void))start, 2, (unsigned)((uint64_t)at >> 32),
		    (unsigned)at);
	return frame;
}

void *whorl__switch(void **from, void *to, void *value)
{
	struct whorl__frame mine, *other = to;

	*from = &mine;
	whorl__fpenv_read(&other->fpenv);
	other->value = value;
	pthread_sigmask(SIG_BLOCK, NULL, &other->context.uc_sigmask);
	swapcontext(&mine.context, &other->context);
	fesetenv(&mine.fpenv.fenv);
	return mine.value;
}

int whorl__switch_int(void **from, void *to, void *value)
{
	return (int)(intptr_t)whorl__switch(from, to, value);
}
