package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"example.com/ballast/cmd/ballast/internal/stack"
	"example.com/ballast/pkg/flags"
)

func flagCommand(home func() stack.Home) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "flag",
		Short: "Show and set feature flags, faults and limits of a running stack",
		Long: `Flags are in flags.json of the home directory. Running services see a change
within two seconds; nothing is restarted.`,
	}
	cmd.AddCommand(flagList(home), flagSet(home), flagUnset(home))
	return cmd
}

func flagList(home func() stack.Home) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List every flag with what is set", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rules, err := home().Flags()
			if err != nil {
				return err
			}
			return printFlags(cmd.OutOrStdout(), rules)
		},
	}
}

func printFlags(out io.Writer, rules map[string]flags.Rule) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSET TO\tDEFAULT\tKIND\tPERCENT OF\tWHAT IT DOES")
	for _, f := range flags.Known() {
		set := "-"
		if rule, ok := rules[f.Name]; ok {
			set = fmt.Sprint(rule.Value)
			if rule.Percent != nil {
				set += fmt.Sprintf(" for %v %%", *rule.Percent)
			}
		}
		of := f.Subject
		if of == "" {
			of = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", f.Name, set, f.Default, f.Kind, of, f.About)
	}
	return w.Flush()
}

func flagSet(home func() stack.Home) *cobra.Command {
	var percent float64
	cmd := &cobra.Command{
		Use: "set NAME VALUE", Short: "Set a flag", Args: cobra.ExactArgs(2),
		Example: "  ballast flag set orders.stale-reads true --percent 25\n  ballast flag set provider.decline-rate 0.05",
		RunE: func(cmd *cobra.Command, args []string) error {
			flag, err := findFlag(args[0])
			if err != nil {
				return err
			}
			rule, err := parseRule(flag, args[1])
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("percent") {
				rule.Percent = &percent
			}
			if err := flag.Check(rule); err != nil {
				return err
			}
			return home().EditFlags(func(rules map[string]flags.Rule) { rules[flag.Name] = rule })
		},
	}
	cmd.Flags().Float64Var(&percent, "percent", 100, "share of subjects (orders, customers) that get the value, in percent")
	return cmd
}

func flagUnset(home func() stack.Home) *cobra.Command {
	return &cobra.Command{
		Use: "unset NAME", Short: "Let a flag have its default again", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			// A name that is not known (any more) can be in the file, too.
			return home().EditFlags(func(rules map[string]flags.Rule) { delete(rules, args[0]) })
		},
	}
}

func findFlag(name string) (flags.Flag, error) {
	flag, ok := flags.Find(name)
	if !ok {
		return flag, fmt.Errorf("no flag has the name %q: `ballast flag list` shows all", name)
	}
	return flag, nil
}

// parseRule reads a value of the flag's kind.
func parseRule(flag flags.Flag, text string) (flags.Rule, error) {
	if flag.Kind == flags.String {
		return flags.Rule{Value: text}, nil
	}
	var rule flags.Rule
	if err := json.Unmarshal([]byte(text), &rule.Value); err != nil {
		return rule, fmt.Errorf("%s: %s is no %s", flag.Name, strconv.Quote(text), flag.Kind)
	}
	return rule, nil
}
