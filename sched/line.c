/* Standing in line for an object of the user's: see line.h. An object that nobody holds or waits
 * for belongs to no runtime, and neither does one whose runtime is gone: whoever comes next has
 * it. */
#include "line.h"

int whorl__claim(struct co_line_ *line, const void *site)
{
	uint32_t serial = whorl__loop ? whorl__loop->serial : 0;
	struct link *head = line_of(line);

	if (head->next && line->loop_ == serial)
		return 0;
	if (head->next && (line->held_ > 0 || !list_empty(head)) && whorl__loop_alive(line->loop_))
		return whorl__misuse(CO_MISUSE_LOOP, -EXDEV, site,
				     "an object that another runtime uses");
	list_init(head);
	line->loop_ = serial;
	return 0;
}

int whorl__approach(struct co_line_ *line, struct co *co, const void *frame, const void *site)
{
	int rc;

	if (!co || !line)
		return co ? -EINVAL : -EPERM;
	rc = whorl__point(co, frame);
	return rc < 0 ? rc : whorl__claim(line, site);
}

int whorl__stand_in(struct co_line_ *line, struct wait *w)
{
	struct co *co = w->waiter.co;

	if (past(co, tick_time(w->tick)))
		return co->rc;
	list_append(line_of(line), &w->waiter.link);
	return whorl__park(co);
}
