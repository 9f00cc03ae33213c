/* Leaves SSL_read and SSL_write in every way but by their return, and then makes an ordinary request.
 *
 * Usage: odd WAY
 * cancel: a thread is cancelled while it waits in SSL_read. jump-read, jump-write: longjmp out of a BIO's callback
 * below them. throw-read, throw-write: an exception does the same (in C++). switch: two stacks of one thread are in
 * SSL_read and SSL_write at once, and the one that came first leaves first. both-read: the same, both in SSL_read.
 * nested: a whole exchange within an SSL_read of another connection. Prints what happened. */
#include <netdb.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

#define HOST "tool.example"

static SSL_CTX *context;
/* What happens at the next read (BIO_CB_READ) or write (BIO_CB_WRITE) of a socket. */
static int armed;
static void (*act)(void);

static void must(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "%s failed\n", what);
        exit(1);
    }
}

static long hook(BIO *bio, int oper, const char *argp, size_t len, int argi, long argl, int ret, size_t *done) {
    (void)bio, (void)argp, (void)len, (void)argi, (void)argl, (void)done;
    if (armed && oper == armed) {
        armed = 0;
        act();
    }
    return ret;
}

/* A connection whose handshake is done. */
static SSL *dial(void) {
    struct addrinfo hints, *found;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    must(getaddrinfo(HOST, "443", &hints, &found) == 0, "getaddrinfo");
    int number = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(number, found->ai_addr, found->ai_addrlen) == 0, "connect");
    freeaddrinfo(found);
    SSL *ssl = SSL_new(context);
    SSL_set_tlsext_host_name(ssl, HOST);
    must(SSL_set_fd(ssl, number), "SSL_set_fd");
    must(SSL_connect(ssl) == 1, "SSL_connect");
    BIO_set_callback_ex(SSL_get_rbio(ssl), hook);
    return ssl;
}

static void ask(SSL *ssl, const char *path) {
    char text[256];
    int size = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nhost: " HOST "\r\nconnection: close\r\n\r\n", path);
    must(SSL_write(ssl, text, size) == size, "SSL_write");
}

static void answer(SSL *ssl) {
    char text[4096];
    int size = 0, more;
    while (size < (int)sizeof text - 1 && (more = SSL_read(ssl, text + size, (int)sizeof text - 1 - size)) > 0)
        size += more;
    text[size] = 0;
    char *body = strstr(text, "\r\n\r\n");
    printf("%.12s %s\n", text, body ? body + 4 : "no body");
    SSL_free(ssl);
}

/* cancel */

static sem_t waits;

static void post(void) { sem_post(&waits); }

static void cleaned(void *what) { printf("cleaned: %s\n", (const char *)what); }

#ifdef __cplusplus
struct Held {
    ~Held() { printf("destroyed\n"); }
};
#endif

static void *reads(void *ssl) {
    char byte;
    pthread_cleanup_push(cleaned, (void *)"outer");
#ifdef __cplusplus
    Held held;
#endif
    act = post;
    armed = BIO_CB_READ;
    SSL_read((SSL *)ssl, &byte, 1);
    pthread_cleanup_pop(0);
    return NULL;
}

static void cancel(void) {
    pthread_t thread;
    void *result;
    sem_init(&waits, 0, 0);
    SSL *ssl = dial();
    must(pthread_create(&thread, NULL, reads, ssl) == 0, "pthread_create");
    sem_wait(&waits);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    printf(result == PTHREAD_CANCELED ? "cancelled\n" : "returned\n");
}

/* jump */

static jmp_buf back;

static void leap(void) { longjmp(back, 1); }

static void odd(int oper, void (*how)(void)) {
    char byte;
    SSL *ssl = dial();
    act = how;
    armed = oper;
    if (oper == BIO_CB_READ)
        SSL_read(ssl, &byte, 1);
    else
        ask(ssl, "/never");
    printf("returned\n");
}

static void jump(int oper) {
    if (setjmp(back) == 0)
        odd(oper, leap);
    else
        printf("jumped\n");
}

/* throw */

#ifdef __cplusplus
static void raise_it(void) { throw 7; }

static void thrown(int oper) {
    try {
        Held held;
        odd(oper, raise_it);
    } catch (int number) {
        printf("caught %d\n", number);
    }
}
#endif

/* switch */

static ucontext_t home, other;
static char stack[256 * 1024];
static SSL *pair[2];

static void away(void) { swapcontext(&home, &other); }

static void again(void) { swapcontext(&other, &home); }

static void beside(void) {
    act = again;
    armed = BIO_CB_WRITE;
    ask(pair[1], "/weather?of=the-other");
    printf("the other wrote\n");
}

static void reads_beside(void) {
    act = again;
    armed = BIO_CB_READ;
    answer(pair[1]);
}

static void both(void (*second)(void)) {
    getcontext(&other);
    other.uc_stack.ss_sp = stack;
    other.uc_stack.ss_size = sizeof stack;
    other.uc_link = &home;
    makecontext(&other, second, 0);
    act = away;
    armed = BIO_CB_READ;
    answer(pair[0]);
    swapcontext(&home, &other);
}

static void dial_two(void) {
    pair[0] = dial();
    pair[1] = dial();
    ask(pair[0], "/weather?of=the-first");
}

static void switched(void) {
    dial_two();
    both(beside);
    answer(pair[1]);
}

static void both_read(void) {
    dial_two();
    ask(pair[1], "/weather?of=the-other");
    both(reads_beside);
}

/* nested */

static void whole(void) {
    ask(pair[1], "/weather?of=the-inner");
    answer(pair[1]);
}

static void nested(void) {
    dial_two();
    act = whole;
    armed = BIO_CB_READ;
    answer(pair[0]);
}

int main(int count, char **words) {
    const char *way = count > 1 ? words[1] : "", *gate = getenv("GATE");
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_default_verify_paths(context);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    setvbuf(stdout, NULL, _IONBF, 0);
    if (gate) {
        char byte;
        FILE *pipe = fopen(gate, "r");
        must(pipe != NULL && fread(&byte, 1, 1, pipe) == 0, "gate");
        fclose(pipe);
    }
    if (!strcmp(way, "cancel"))
        cancel();
    else if (!strcmp(way, "jump-read"))
        jump(BIO_CB_READ);
    else if (!strcmp(way, "jump-write"))
        jump(BIO_CB_WRITE);
    else if (!strcmp(way, "switch"))
        switched();
    else if (!strcmp(way, "both-read"))
        both_read();
    else if (!strcmp(way, "nested"))
        nested();
#ifdef __cplusplus
    else if (!strcmp(way, "throw-read"))
        thrown(BIO_CB_READ);
    else if (!strcmp(way, "throw-write"))
        thrown(BIO_CB_WRITE);
#endif
    else
        must(0, "the way");
    SSL *ssl = dial();
    ask(ssl, "/weather?of=the-last");
    answer(ssl);
    return 0;
}
