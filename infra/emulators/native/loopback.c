/*
 * Preloaded (LD_PRELOAD) before DynamoDB Local, which would listen on every
 * address and can only be told a port number that somebody has found free
 * before: a bind to the wildcard becomes a bind to 127.0.0.1, there port 1024 means
 * any free port, and a listener's port is printed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int bind(int fd, const struct sockaddr *address, socklen_t size)
{
	static int (*original)(int, const struct sockaddr *, socklen_t);
	if (!original)
		original = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");
	if (address && address->sa_family == AF_INET && size >= sizeof(struct sockaddr_in)) {
		struct sockaddr_in in = *(const struct sockaddr_in *)address;
		if (in.sin_addr.s_addr == htonl(INADDR_ANY))
			in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		if (in.sin_port == htons(1024))
			in.sin_port = 0;
		return original(fd, (struct sockaddr *)&in, sizeof in);
	}
	if (address && address->sa_family == AF_INET6 && size >= sizeof(struct sockaddr_in6)) {
		struct sockaddr_in6 in6 = *(const struct sockaddr_in6 *)address;
		if (IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr))
			in6.sin6_addr = in6addr_loopback;
		if (in6.sin6_port == htons(1024))
			in6.sin6_port = 0;
		return original(fd, (struct sockaddr *)&in6, sizeof in6);
	}
	return original(fd, address, size);
}

int listen(int fd, int backlog)
{
	static int (*original)(int, int);
	if (!original)
		original = (int (*)(int, int))dlsym(RTLD_NEXT, "listen");
	int result = original(fd, backlog);
	struct sockaddr_in in;
	socklen_t size = sizeof in;
	if (result == 0 && getsockname(fd, (struct sockaddr *)&in, &size) == 0 && in.sin_family == AF_INET)
		dprintf(STDOUT_FILENO, "hito-listening %d\n", ntohs(in.sin_port));
	return result;
}
