/* The Corefiles that clusters come with, in the shapes of their installers. */
#include "dump.h"

static void test_kubeadm(void **state)
{
	expect(".:53 {\n"
	       "    errors\n"
	       "    health {\n"
	       "       lameduck 5s\n"
	       "    }\n"
	       "    ready\n"
	       "    kubernetes cluster.local in-addr.arpa ip6.arpa {\n"
	       "       pods insecure\n"
	       "       fallthrough in-addr.arpa ip6.arpa\n"
	       "       ttl 30\n"
	       "    }\n"
	       "    prometheus :9153\n"
	       "    forward . /etc/resolv.conf {\n"
	       "       max_concurrent 1000\n"
	       "    }\n"
	       "    cache 30 {\n"
	       "       disable success cluster.local\n"
	       "       disable denial cluster.local\n"
	       "    }\n"
	       "    loop\n"
	       "    reload\n"
	       "    loadbalance\n"
	       "}\n",
	       "dns://.:53 { errors health { lameduck <5s> } ready "
	       "kubernetes <cluster.local> <in-addr.arpa> <ip6.arpa> { pods <insecure> "
	       "fallthrough <in-addr.arpa> <ip6.arpa> ttl <30> } prometheus <:9153> "
	       "forward <.> </etc/resolv.conf> { max_concurrent <1000> } "
	       "cache <30> { disable <success> <cluster.local> disable <denial> <cluster.local> } "
	       "loop reload loadbalance }");
}

static void test_nodelocal(void **state)
{
	expect("cluster.local:53 {\n"
	       "    errors\n"
	       "    cache {\n"
	       "            success 9984 30\n"
	       "            denial 9984 5\n"
	       "    }\n"
	       "    reload\n"
	       "    loop\n"
	       "    bind 169.254.20.10 10.96.0.10\n"
	       "    forward . 10.104.21.7 {\n"
	       "            force_tcp\n"
	       "    }\n"
	       "    prometheus :9253\n"
	       "    health 169.254.20.10:8080\n"
	       "    }\n"
	       "in-addr.arpa:53 {\n"
	       "    errors\n"
	       "    cache 30\n"
	       "    bind 169.254.20.10 10.96.0.10\n"
	       "    forward . 10.104.21.7 {\n"
	       "            force_tcp\n"
	       "    }\n"
	       "    }\n"
	       "example.org:53 {\n"
	       "    errors\n"
	       "    cache 30\n"
	       "    bind 169.254.20.10 10.96.0.10\n"
	       "    forward . 10.1.1.1 10.1.1.2:5353\n"
	       "    }\n"
	       ".:53 {\n"
	       "    bind 169.254.20.10 10.96.0.10\n"
	       "    forward . /etc/resolv.conf\n"
	       "    }\n",
	       "dns://cluster.local.:53 { errors cache { success <9984> <30> denial <9984> <5> } reload loop "
	       "bind <169.254.20.10> <10.96.0.10> forward <.> <10.104.21.7> { force_tcp } prometheus <:9253> "
	       "health <169.254.20.10:8080> } "
	       "dns://in-addr.arpa.:53 { errors cache <30> bind <169.254.20.10> <10.96.0.10> "
	       "forward <.> <10.104.21.7> { force_tcp } } "
	       "dns://example.org.:53 { errors cache <30> bind <169.254.20.10> <10.96.0.10> "
	       "forward <.> <10.1.1.1> <10.1.1.2:5353> } "
	       "dns://.:53 { bind <169.254.20.10> <10.96.0.10> forward <.> </etc/resolv.conf> }");
}

/* Managed clusters own the Corefile and import what users add from a second ConfigMap, which is mounted as
 * links into a hidden folder and may be absent. */
static void test_imports_of_managed_clusters(void **state)
{
	const char *corefile = ".:53 {\n"
			       "    errors\n"
			       "    ready\n"
			       "    import custom/*.override\n"
			       "    template ANY ANY internal.cloudapp.net {\n"
			       "      match \"^(?:[^.]+\\.){4,}internal\\.cloudapp\\.net\\.$\"\n"
			       "      rcode NXDOMAIN\n"
			       "      fallthrough\n"
			       "    }\n"
			       "}\n"
			       "import custom/*.server # AKS in-line comment\n";
	const char *tail =
		"template <ANY> <ANY> <internal.cloudapp.net> { "
		"match <^(?:[^.]+\\.){4,}internal\\.cloudapp\\.net\\.$> rcode <NXDOMAIN> fallthrough } }";
	char expected[1024];

	snprintf(expected, sizeof(expected), "dns://.:53 { errors ready %s", tail);
	expect(corefile, expected);

	mkdir("custom", 0700);
	mkdir("custom/..2026_11_24", 0700);
	file_write("custom/..2026_11_24/log.override", "log\n");
	file_write("custom/..2026_11_24/rewrite.override", "rewrite name a.org b.org");
	file_write("custom/..2026_11_24/puglife.server",
		   "puglife.local:53 {\n    errors\n    forward . 192.11.0.1\n}\n");
	assert_int_equal(symlink("..2026_11_24", "custom/..data"), 0);
	assert_int_equal(symlink("..data/log.override", "custom/log.override"), 0);
	assert_int_equal(symlink("..data/rewrite.override", "custom/rewrite.override"), 0);
	assert_int_equal(symlink("..data/puglife.server", "custom/puglife.server"), 0);
	snprintf(expected, sizeof(expected),
		 "dns://.:53 { errors ready log rewrite <name> <a.org> <b.org> %s "
		 "dns://puglife.local.:53 { errors forward <.> <192.11.0.1> }",
		 tail);
	expect(corefile, expected);
}

static void test_distributions(void **state)
{
	/* k3s, minikube: addresses and names in a block; OpenShift: options with several words. */
	expect(".:53 {\n"
	       "    hosts /etc/coredns/NodeHosts {\n"
	       "       192.168.65.254 host.minikube.internal\n"
	       "       ttl 60\n"
	       "       reload 15s\n"
	       "       fallthrough\n"
	       "    }\n"
	       "    log . {\n"
	       "        class error denial all\n"
	       "    }\n"
	       "    log . \"{remote} {type} \\\"{name}\\\"\" {\n"
	       "    }\n"
	       "    bufsize 1232\n"
	       "    dns64 64:ff9b::/96\n"
	       "}\n",
	       "dns://.:53 { hosts </etc/coredns/NodeHosts> { 192.168.65.254 <host.minikube.internal> ttl "
	       "<60> "
	       "reload <15s> fallthrough } log <.> { class <error> <denial> <all> } "
	       "log <.> <{remote} {type} \"{name}\"> { } bufsize <1232> dns64 <64:ff9b::/96> }");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kubeadm),
		cmocka_unit_test(test_nodelocal),
		cmocka_unit_test_setup_teardown(test_imports_of_managed_clusters, folder_enter, folder_leave),
		cmocka_unit_test(test_distributions),
	};

	return cmocka_run_group_tests_name("clusters", tests, NULL, NULL);
}
