/* In C++: two servers are asked at once, each again and again, all within one deadline. Whoever
 * answers first stops the other. What an answer owns is given back on each of the ways out.
 *
 *	c++ -std=c++17 race.cc $(pkg-config --cflags --libs whorl) && ./a.out */
#include <iostream>
#include <stdexcept>
#include <string>
#include <whorl/co.hpp>

using namespace std::chrono_literals;

namespace
{

struct server {
	std::string name;
	int silent; /* so many requests get no answer */
	bool broken;
	int asked;
};

/* One request. It knows nothing of deadlines, and makes exceptions of errors. */
std::string request(server &s)
{
	whorl::check(co_sleep(s.asked++ < s.silent ? CO_FOREVER : whorl::ns(1ms)));
	if (s.broken)
		throw std::runtime_error(s.name + " is broken");
	return "an answer from " + s.name;
}

/* Until there is an answer, for at most 20 ms each time. */
int ask(server &s, std::string &answer)
{
	int rc;

	do
		rc = whorl::timeout(20ms, [&] { answer = request(s); });
	while (rc == -ETIMEDOUT);
	return rc;
}

/* The first answer; an error, or an exception, if nobody has one. */
int ask_both(server &one, server &other, std::chrono::milliseconds time, std::string &answer)
{
	const auto body = [&](whorl::group &g) {
		whorl::check(g.spawn([&] { return ask(one, answer); }));
		whorl::check(g.spawn([&] { return ask(other, answer); }));
	};

	return whorl::timeout(time, [&] { return whorl::with_group(body, CO_GROUP_FIRST); });
}

std::string outcome(server one, server other, std::chrono::milliseconds time)
{
	std::string answer;

	try {
		return ask_both(one, other, time, answer) == -ETIMEDOUT ? "no answer in time" : answer;
	} catch (const std::runtime_error &e) {
		return e.what();
	}
}

int shows(const char *expected, const std::string &got)
{
	std::cout << (got == expected ? "ok " : "NOT ") << got << '\n';
	return got != expected;
}

} // namespace

int main()
{
	const server slow{ "slow", 2, false, 0 }, dead{ "dead", 1000, false, 0 };
	const server broken{ "broken", 0, true, 0 };
	int surprises = 0;
	const int rc = whorl::run([&] {
		surprises += shows("an answer from slow", outcome(slow, dead, 10s));
		surprises += shows("no answer in time", outcome(dead, dead, 70ms));
		surprises += shows("an answer from slow", outcome(slow, broken, 10s));
		surprises += shows("broken is broken", outcome(broken, broken, 10s));
	});

	return rc < 0 || surprises != 0;
}
