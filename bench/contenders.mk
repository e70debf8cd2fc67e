# Builds all contenders whose library is here: make -f bench/contenders.mk PREFIX=... OUT=...
#
# PREFIX is where Whorl is installed; OUT gets timers/, coroutines/ and limits/, a program for each
# contender in it, and `missing`, a line for each contender that could not be built: kind, name, and
# what it needs.

PREFIX = /usr/local
OUT = build/bench
CFLAGS = -O2 -g

bench := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
warnings = -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wundef
compile = $(CC) $(warnings) $(CFLAGS)

whorl_pc = PKG_CONFIG_PATH=$(PREFIX)/lib/pkgconfig pkg-config
whorl_version := $(shell $(whorl_pc) --modversion whorl)
whorl_flags := $(shell $(whorl_pc) --cflags whorl)
whorl_libs := $(shell $(whorl_pc) --libs whorl) -Wl,-rpath,$(PREFIX)/lib

# $(call links,HEADER,LIBRARIES): `yes` if a program can be built so. (libev has no .pc file.)
links = $(shell printf '\043include <%s>\nint main(void) { return 0; }\n' $1 | \
	$(CC) -x c - -o /dev/null $2 2>/dev/null && echo yes)

# $(call contender,KIND,NAME,YES,PACKAGE): builds it if YES, otherwise notes what it lacks.
contender = $(if $3,$(eval programs += $(OUT)/$1/$2),$(eval missing += $1:$2:$4))

programs =
missing =
all: build

# ------------------------------------------------------------------------------------------ timers

timers = $(bench)/timers/timers.h $(bench)/measure.h
$(call contender,timers,whorl,$(whorl_version),whorl)
$(call contender,timers,whorl-static,yes)
$(call contender,timers,heap,yes)
$(call contender,timers,libev,$(call links,ev.h,-lev),libev-dev)
$(call contender,timers,libuv,$(call links,uv.h,-luv),libuv1-dev)
$(call contender,timers,libevent,$(call links,event2/event.h,-levent_core),libevent-dev)

$(OUT)/timers/%: $(bench)/timers/%.c $(timers)
	@mkdir -p $(@D)
	$(compile) $< -o $@ $(libs)
$(OUT)/timers/heap: CFLAGS += -O3
$(OUT)/timers/libev: libs = -lev
$(OUT)/timers/libuv: libs = -luv
$(OUT)/timers/libevent: libs = -levent_core
$(OUT)/timers/libev $(OUT)/timers/libuv $(OUT)/timers/libevent: $(bench)/timers/simulated.h

whorl_timers = $(bench)/timers/whorl.c -DVERSION='"$(whorl_version)"'
$(OUT)/timers/whorl: $(bench)/timers/whorl.c $(timers) $(PREFIX)/lib/libwhorl.so
	@mkdir -p $(@D)
	$(compile) $(whorl_timers) $(whorl_flags) -DNAME='"whorl"' \
		-DNOTE='"libwhorl.so as installed"' -o $@ $(whorl_libs)

# The wheel as it is compiled into another program, in a translation unit of its own.
wheel = $(bench)/../wheel/wheel.c
$(OUT)/timers/whorl-static: $(bench)/timers/whorl.c $(wheel) $(timers)
	@mkdir -p $(@D)
	$(compile) -O3 -march=native -I$(bench)/../include -c $(wheel) -o $@.o
	$(compile) -O3 -march=native -I$(bench)/../include $(whorl_timers) -DNAME='"whorl-static"' \
		-DNOTE='"wheel.c, -O3 -march=native, linked into the program"' -o $@ $@.o
	@rm $@.o

# ------------------------------------------------------------------------------------------ limits

$(call contender,limits,limits,yes)
$(OUT)/limits/limits: $(bench)/limits.c $(bench)/measure.h
	@mkdir -p $(@D)
	$(compile) $< -o $@

# -------------------------------------------------------------------------------------- coroutines
# Each as its authors recommend: optimised, without assertions.

root = $(bench)/..
arch = $(root)/src/arch/$(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
coroutines = $(addprefix $(bench)/coroutines/,bench.h workloads.h channels.h)
python = /usr/bin/python3
imports = $(shell $(python) -c 'import $1' 2>/dev/null && echo yes)
$(call contender,coroutines,whorl,$(whorl_version),whorl)
$(call contender,coroutines,whorl-static,$(wildcard $(arch)/switch.S),a_switch_for_this_CPU)
$(call contender,coroutines,boost_context,$(call links,stdio.h,-lboost_context),libboost-context-dev)
$(call contender,coroutines,boost_fiber,$(call links,stdio.h,-lboost_fiber),libboost-fiber-dev)
$(call contender,coroutines,st,$(call links,st.h,-lst),libst-dev)
$(call contender,coroutines,pth,$(call links,pth.h,-lpth),libpth-dev)
$(call contender,coroutines,go,$(shell command -v go),golang-go)
$(call contender,coroutines,gevent,$(call imports,gevent),python3-gevent)
$(call contender,coroutines,asyncio,$(call imports,asyncio),python3)

$(OUT)/coroutines/%: $(bench)/coroutines/%.c $(coroutines)
	@mkdir -p $(@D)
	$(compile) -O3 -DNDEBUG $< -o $@ $(libs)
$(OUT)/coroutines/st: libs = -lst
$(OUT)/coroutines/pth: libs = -lpth

$(OUT)/coroutines/boost_%: $(bench)/coroutines/boost_%.cc $(coroutines)
	@mkdir -p $(@D)
	$(CXX) -std=c++17 -Wall -Wextra $(CFLAGS) -O3 -DNDEBUG $< -o $@ $(libs) -lboost_context
$(OUT)/coroutines/boost_fiber: libs = -lboost_fiber

$(OUT)/coroutines/go: $(bench)/coroutines/main.go
	@mkdir -p $(@D)
	GO111MODULE=off GOFLAGS= GOCACHE=$(abspath $(OUT))/go-cache go build -o $@ $<

# The sources stay where they are, and the programs start them.
$(OUT)/coroutines/gevent $(OUT)/coroutines/asyncio: $(OUT)/coroutines/%: $(bench)/coroutines/on_%.py
	@mkdir -p $(@D)
	printf '#!/bin/sh\nexec %s -B %s "$$@"\n' $(python) $(abspath $<) >$@
	chmod +x $@

whorl_coroutines = $(bench)/coroutines/whorl.c -DVERSION='"$(whorl_version)"'
$(OUT)/coroutines/whorl: $(bench)/coroutines/whorl.c $(coroutines) $(PREFIX)/lib/libwhorl.so
	@mkdir -p $(@D)
	$(compile) $(whorl_coroutines) $(whorl_flags) -DNAME='"whorl"' \
		-DNOTE='"libwhorl.so as installed"' -o $@ $(whorl_libs)

# The whole library, compiled into the program.
library = $(filter-out %/jemalloc.c,$(wildcard $(root)/sched/*.c $(root)/src/*.c)) \
	$(root)/wheel/wheel.c $(arch)/switch.S $(wildcard $(root)/*/*.h $(root)/include/whorl/*.h)
$(OUT)/coroutines/whorl-static: $(bench)/coroutines/whorl.c $(library) $(coroutines)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(CFLAGS) -O3 -march=native -I$(root)/include -I$(root)/src -I$(arch) \
		-DNAME='"whorl-static"' -DNOTE='"-O3 -march=native, linked into the program"' \
		$(whorl_coroutines) $(filter-out %.h,$(library)) -o $@ -lpthread

# --------------------------------------------------------------------------------------------------

build: $(programs)
	@printf '%s\n' $(missing) | sed '/^$$/d; s/:/ /g' >$(OUT)/missing
	@sed 's/^/missing: /' $(OUT)/missing

.PHONY: all build
.DELETE_ON_ERROR:
