/* What raw.c and gen.c share: the record of a raw coroutine, and how it gives control back. */
#ifndef WHORL_SRC_RAW_H
#define WHORL_SRC_RAW_H

#include "core.h"

struct co_raw {
	struct whorl__fiber fiber; /* the first member */
	enum co_raw_state state;
	co_raw_fn *fn;
	void **out; /* of the resume under way; may be NULL */
	char name[WHORL__NAME_SIZE];
};

/* Delivers `value` to the resume under way. To switch to the result with a code is all that is
 * left: that resume then returns the code. NULL: `self` is no raw coroutine. */
static inline struct whorl__fiber *whorl__raw_stop(struct whorl__fiber *self,
						   enum co_raw_state state, void *value)
{
	struct co_raw *co = (struct co_raw *)(void *)self;
	struct whorl__fiber *resumer = self != NULL ? self->resumer : NULL;

	if (resumer == NULL)
		return NULL;
	co->state = state;
	if (co->out != NULL)
		*co->out = value;
	return resumer;
}

#endif
