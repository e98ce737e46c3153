"""Forms from JSON Schemas: what a server asks of a person, and what a person gives to a tool.

One engine makes both: `controls` has the widget of each plain field, `inputs` puts fields into each other,
`checking` says what is wrong beside the field. `question` and `tool_form` are what stands around them.
"""

from mcpnb.notebook.forms.question import TOO_LATE, Form, ended, question_html
from mcpnb.notebook.forms.subject import Subject
from mcpnb.notebook.forms.tool_form import ToolForm

__all__ = ["TOO_LATE", "Form", "Subject", "ToolForm", "ended", "question_html"]
