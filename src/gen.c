/* Generators: a raw coroutine that hands out values.
 *
 * The generator's object is a variable of the first function on the coroutine's stack, which never
 * returns: co_gen_make runs it as far as to learn the address, and after the user's function has
 * ended it stays suspended, so that the result can be read as often as anyone asks. */
#define _GNU_SOURCE 1
#include <errno.h>

#include "raw.h"

struct co_gen {
	struct co_raw *raw;
	const struct whorl__fiber *fiber; /* raw's */
	co_gen_fn *fn;
	void *arg;
	const void *site;
	void **received; /* of the emit that waits, or NULL */
	bool started;
	bool ended; /* fn has returned; `result` is set */
	int result; /* 0 or -errno */
};

static void *run(void *made)
{
	co_gen gen = *(const co_gen *)made;
	int rc;

	WHORL__FRAME_RECORD();
	gen.fiber = whorl__fiber_current;
	whorl__fiber_current->site = gen.site;
	co_raw_suspend(&gen);
	rc = gen.fn(&gen, gen.arg);
	gen.result = rc < 0 ? rc : 0;
	gen.ended = true;
	whorl__fiber_switch(whorl__raw_stop(whorl__fiber_current, CO_RAW_SUSPENDED, NULL),
			    (void *)(intptr_t)gen.result);
	__builtin_unreachable(); /* nobody resumes it after its end */
}

int co_gen_make(co_gen **out, co_gen_fn *fn, void *arg, const struct co_attr *attr)
{
	co_gen made = { .fn = fn, .arg = arg, .site = __builtin_return_address(0) };
	void *gen;
	int rc;

	if (out == NULL || fn == NULL)
		return -EINVAL;
	rc = co_raw_create(&made.raw, run, attr);
	if (rc < 0)
		return rc;
	co_raw_resume(made.raw, &made, &gen);
	*out = gen;
	return 0;
}

/* While the body runs there is nowhere to store `in`, and the resume is refused. */
int co_gen_send(co_gen *gen, void *in, void **value)
{
	if (gen == NULL || (in != NULL && !gen->started))
		return -EINVAL;
	if (gen->ended)
		return gen->result;
	gen->started = true;
	if (gen->received != NULL)
		*gen->received = in;
	gen->received = NULL;
	return co_raw_resume(gen->raw, NULL, value);
}

int co_gen_next(co_gen *gen, void **value)
{
	return co_gen_send(gen, NULL, value);
}

/* The resume that ends the wait passes in what this returns: 0, or -ECANCELED. While the generator
 * is being freed the wait is short: co_gen_free resumes until the body has ended. */
int co_gen_emit(co_gen *gen, void *value, void **received)
{
	if (gen == NULL)
		return -EINVAL;
	if (gen->fiber != whorl__fiber_current)
		return -EPERM;
	gen->received = received;
	return whorl__fiber_switch_int(
		whorl__raw_stop(whorl__fiber_current, CO_RAW_SUSPENDED, value), (void *)1);
}

void co_gen_free(co_gen *gen)
{
	if (gen == NULL)
		return;
	while (gen->started && !gen->ended &&
	       co_raw_resume(gen->raw, (void *)(intptr_t)-ECANCELED, NULL) == 1)
		;
	co_raw_destroy(gen->raw);
}
