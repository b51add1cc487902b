"""Drives every operation of a simulated Amazon Connect instance with boto3.

Arguments: endpoint, region, instance ARN, JSON list of the operations that the
simulator has, id of an agent with the contacts contact-CONNECTED and
contact-MISSED, id of the flow for quick connects. Ends with 1 and a reason when
one of the operations is not driven, a good call is refused or a bad one is not,
or an answer has members that botocore's model of the service does not know.
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, region, arn, operations, busy, flow = sys.argv[1:]
instance = arn.rsplit("/", 1)[1]
GONE = "00000000-0000-4000-8000-000000000000"

connect = boto3.client(
    "connect", endpoint_url=endpoint, region_name=region,
    aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret",
    config=Config(retries={"max_attempts": 0}, parameter_validation=True),
)
driven = set()


def strangers(shape, value, where):
    """What the model of the service lacks of an answer."""
    if shape.type_name == "structure":
        for name, inner in value.items():
            if name not in shape.members:
                yield f"{where}.{name}"
            else:
                yield from strangers(shape.members[name], inner, f"{where}.{name}")
    elif shape.type_name == "list":
        for inner in value:
            yield from strangers(shape.member, inner, f"{where}[]")
    elif shape.type_name == "map":
        for inner in value.values():
            yield from strangers(shape.value, inner, f"{where}{{}}")


def judge(http_response, model, **_):
    if http_response.status_code == 200 and http_response.content:
        found = list(strangers(model.output_shape, json.loads(http_response.content), model.name))
        if found:
            sys.exit(f"the model does not know {found}")


connect.meta.events.register("after-call.connect", judge)


def name_of(method):
    return connect.meta.method_to_api_mapping[method]


def good(method, **args):
    driven.add(name_of(method))
    return getattr(connect, method)(**args)


def bad(code, status, method, **args):
    try:
        getattr(connect, method)(**args)
    except ClientError as e:
        got = e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"]
        if got != (code, status) or not e.response["Error"]["Message"]:
            sys.exit(f"{method}: refused with {e.response}, not with {code} {status}")
        return
    sys.exit(f"{method}: accepted, not refused with {code}")


def expect(what, got, want):
    if got != want:
        sys.exit(f"{what}: {got!r}, not {want!r}")


summary = good("list_instances")["InstanceSummaryList"][0]
expect("identity type", summary["IdentityManagementType"], "SAML")
expect("instance", good("describe_instance", InstanceId=arn)["Instance"]["Id"], instance)
bad("InvalidRequestException", 400, "list_instances", NextToken="made up")
bad("ResourceNotFoundException", 404, "describe_instance", InstanceId=GONE)

routing = {p["Name"]: p["Id"] for p in good("list_routing_profiles", InstanceId=instance)["RoutingProfileSummaryList"]}
security = {p["Name"]: p["Id"] for p in good("list_security_profiles", InstanceId=instance)["SecurityProfileSummaryList"]}
groups = {g["Name"]: g["Id"] for g in good("list_user_hierarchy_groups", InstanceId=instance)["UserHierarchyGroupSummaryList"]}
expect("security profiles", sorted(security), ["Admin", "Agent", "CallCenterManager", "QualityAnalyst"])
for method in "list_routing_profiles", "list_security_profiles", "list_user_hierarchy_groups":
    bad("ResourceNotFoundException", 404, method, InstanceId=GONE)
is_basic = {"StringCondition": {"FieldName": "name", "Value": "Basic", "ComparisonType": "STARTS_WITH"}}
is_agent = {"StringCondition": {"FieldName": "name", "Value": "Agent", "ComparisonType": "EXACT"}}
found = good("search_routing_profiles", InstanceId=instance, SearchCriteria=is_basic)["RoutingProfiles"]
expect("routing profile", [p["RoutingProfileId"] for p in found], [routing["Basic Routing Profile"]])
found = good("search_security_profiles", InstanceId=instance, SearchCriteria=is_agent)["SecurityProfiles"]
expect("security profile", [p["Id"] for p in found], [security["Agent"]])
unknown = {"StringCondition": {"FieldName": "colour", "Value": "red", "ComparisonType": "EXACT"}}
bad("InvalidParameterException", 400, "search_routing_profiles", InstanceId=instance, SearchCriteria=unknown)
bad("InvalidParameterException", 400, "search_security_profiles", InstanceId=instance, SearchCriteria=unknown)
expect("name", good("describe_routing_profile", InstanceId=instance, RoutingProfileId=routing["Support"])["RoutingProfile"]["Name"], "Support")
expect("name", good("describe_security_profile", InstanceId=instance, SecurityProfileId=security["Admin"])["SecurityProfile"]["SecurityProfileName"], "Admin")
bad("ResourceNotFoundException", 404, "describe_routing_profile", InstanceId=instance, RoutingProfileId=GONE)
bad("ResourceNotFoundException", 404, "describe_security_profile", InstanceId=instance, SecurityProfileId=GONE)

person = dict(
    InstanceId=instance, Username="nikki.wolf@example.com",
    IdentityInfo={"FirstName": "Nikki", "LastName": "Wölf"},
    PhoneConfig={"PhoneType": "SOFT_PHONE", "AfterContactWorkTimeLimit": 30},
    RoutingProfileId=routing["Basic Routing Profile"], SecurityProfileIds=[security["Agent"]],
    Tags={"connectroster:owner": "00u1"},
)
created = good("create_user", **person)
user, user_arn = created["UserId"], created["UserArn"]
bad("DuplicateResourceException", 409, "create_user", **person)
bad("InvalidRequestException", 400, "create_user", **{**person, "Username": "other", "Password": "Abcdefg1"})
bad("InvalidParameterException", 400, "create_user", **{**person, "Username": "not a name"})

at = dict(InstanceId=arn, UserId=user_arn)
gone = dict(InstanceId=instance, UserId=GONE)
described = good("describe_user", **at)["User"]
expect("last name", described["IdentityInfo"]["LastName"], "Wölf")
expect("seconds", described["PhoneConfig"]["AfterContactWorkTimeLimit"], 30)
bad("ResourceNotFoundException", 404, "describe_user", **gone)

updates = {
    "update_user_identity_info": {"IdentityInfo": {"FirstName": "Nikki", "LastName": "Smith"}},
    "update_user_phone_config": {"PhoneConfig": {"PhoneType": "SOFT_PHONE", "AutoAccept": True, "AfterContactWorkTimeLimit": 0}},
    "update_user_config": {"AfterContactWorkConfigs": [{"Channel": "VOICE", "AfterContactWorkConfig": {"AfterContactWorkTimeLimit": 7}}]},
    "update_user_routing_profile": {"RoutingProfileId": routing["Support"]},
    "update_user_security_profiles": {"SecurityProfileIds": [security["Admin"], security["Agent"]]},
    "update_user_hierarchy": {"HierarchyGroupId": groups["EMEA"]},
}
for method, args in updates.items():
    good(method, **at, **args)
    bad("ResourceNotFoundException", 404, method, **gone, **args)
after = good("describe_user", **at)["User"]
expect("updated", [after["IdentityInfo"]["LastName"], after["PhoneConfig"]["AfterContactWorkTimeLimit"], after["RoutingProfileId"],
                   sorted(after["SecurityProfileIds"]), after["HierarchyGroupId"]],
       ["Smith", 7, routing["Support"], sorted([security["Admin"], security["Agent"]]), groups["EMEA"]])

good("tag_resource", resourceArn=user_arn, tags={"a b": "ü", "c": ""})
good("untag_resource", resourceArn=user_arn, tagKeys=["c", "connectroster:owner"])
expect("tags", good("list_tags_for_resource", resourceArn=user_arn)["tags"], {"a b": "ü"})
elsewhere = arn + "/agent/" + GONE
bad("ResourceNotFoundException", 404, "tag_resource", resourceArn=elsewhere, tags={"a": "b"})
bad("ResourceNotFoundException", 404, "untag_resource", resourceArn=elsewhere, tagKeys=["a"])
bad("ResourceNotFoundException", 404, "list_tags_for_resource", resourceArn=elsewhere)

expect("listed", [u["Id"] for u in good("list_users", InstanceId=instance)["UserSummaryList"]], [busy, user])
bad("InvalidParameterException", 400, "list_users", InstanceId=instance, NextToken="made up")
found = good("search_users", InstanceId=instance,
             SearchFilter={"TagFilter": {"AndConditions": [{"TagKey": "a b", "TagValue": "ü"}]}},
             SearchCriteria={"OrConditions": [{"HierarchyGroupCondition": {"Value": groups["EMEA"], "HierarchyGroupMatchType": "EXACT"}}]})
expect("found", [(u["Id"], u["PhoneConfig"]["AfterContactWorkTimeLimit"]) for u in found["Users"]], [(user, 7000)])
bad("InvalidParameterException", 400, "search_users", InstanceId=instance, SearchCriteria=unknown)

# The life of an agent.
german = {"AttributeName": "language", "AttributeValue": "de"}
good("associate_user_proficiencies", **at, UserProficiencies=[{**german, "Level": 3}])
bad("ResourceNotFoundException", 404, "associate_user_proficiencies", **at, UserProficiencies=[{**german, "AttributeValue": "xx", "Level": 3}])
good("update_user_proficiencies", **at, UserProficiencies=[{**german, "Level": 4}])
bad("InvalidRequestException", 400, "update_user_proficiencies", **at, UserProficiencies=[{**german, "AttributeValue": "en", "Level": 4}])
expect("proficiencies", good("list_user_proficiencies", **at)["UserProficiencyList"], [{**german, "Level": 4.0}])
bad("ResourceNotFoundException", 404, "list_user_proficiencies", **gone)
speaks = {"ListCondition": {"TargetListType": "PROFICIENCIES", "Conditions": [
    {"StringCondition": {"FieldName": "name", "Value": "language", "ComparisonType": "EXACT"}},
    {"StringCondition": {"FieldName": "value", "Value": "de", "ComparisonType": "EXACT"}},
    {"NumberCondition": {"FieldName": "limit", "MinValue": 4, "ComparisonType": "GREATER_OR_EQUAL"}}]}}
expect("speakers", [u["Id"] for u in good("search_users", InstanceId=instance, SearchCriteria=speaks)["Users"]], [user])
good("disassociate_user_proficiencies", **at, UserProficiencies=[german])
bad("InvalidRequestException", 400, "disassociate_user_proficiencies", **at, UserProficiencies=[german])
expect("attributes", [p["Name"] for p in good("list_predefined_attributes", InstanceId=instance)["PredefinedAttributeSummaryList"]], ["language"])
bad("ResourceNotFoundException", 404, "list_predefined_attributes", InstanceId=GONE)
described = good("describe_predefined_attribute", InstanceId=instance, Name="language")["PredefinedAttribute"]
expect("values", described["Values"], {"StringList": ["de", "en", "fr"]})
bad("ResourceNotFoundException", 404, "describe_predefined_attribute", InstanceId=instance, Name="shoe size")
is_lang = {"StringCondition": {"FieldName": "name", "Value": "lang", "ComparisonType": "STARTS_WITH"}}
expect("found", len(good("search_predefined_attributes", InstanceId=instance, SearchCriteria=is_lang)["PredefinedAttributes"]), 1)
bad("InvalidParameterException", 400, "search_predefined_attributes", InstanceId=instance, SearchCriteria=unknown)

expect("permissions", good("list_security_profile_permissions", InstanceId=instance, SecurityProfileId=security["Agent"])["Permissions"],
       ["BasicAgentAccess", "OutboundCallAccess"])
bad("ResourceNotFoundException", 404, "list_security_profile_permissions", InstanceId=instance, SecurityProfileId=GONE)
structure = good("describe_user_hierarchy_structure", InstanceId=instance)["HierarchyStructure"]
expect("levels", [structure[k]["Id"] for k in ("LevelOne", "LevelTwo", "LevelThree")], ["1", "2", "3"])
bad("ResourceNotFoundException", 404, "describe_user_hierarchy_structure", InstanceId=GONE)
tier = good("describe_user_hierarchy_group", InstanceId=instance, HierarchyGroupId=groups["Tier 1"])["HierarchyGroup"]
expect("path", [tier["HierarchyPath"][k]["Name"] for k in ("LevelOne", "LevelTwo", "LevelThree")], ["EMEA", "Support", "Tier 1"])
bad("ResourceNotFoundException", 404, "describe_user_hierarchy_group", InstanceId=instance, HierarchyGroupId=GONE)
found = good("search_user_hierarchy_groups", InstanceId=instance)["UserHierarchyGroups"]
expect("groups", [(g["Name"], g["LevelId"]) for g in found], [("Root", "0"), ("EMEA", "1"), ("Support", "2"), ("Tier 1", "3")])
bad("InvalidParameterException", 400, "search_user_hierarchy_groups", InstanceId=instance, SearchCriteria=unknown)

statuses = {s["Type"]: s["Id"] for s in good("list_agent_statuses", InstanceId=instance, AgentStatusTypes=["OFFLINE", "CUSTOM"])["AgentStatusSummaryList"]}
expect("types", sorted(statuses), ["CUSTOM", "OFFLINE"])
bad("ResourceNotFoundException", 404, "list_agent_statuses", InstanceId=GONE)
good("put_user_status", InstanceId=instance, UserId=busy, AgentStatusId=statuses["CUSTOM"])
bad("ResourceNotFoundException", 404, "put_user_status", InstanceId=instance, UserId=busy, AgentStatusId=GONE)
data = good("get_current_user_data", InstanceId=instance, Filters={"Agents": [busy, user]})["UserDataList"]
expect("busy", [(d["User"]["Id"], d["NextStatus"], d["ActiveSlotsByChannel"], len(d["Contacts"])) for d in data], [(busy, "Lunch", {"VOICE": 2}, 2)])
bad("InvalidParameterException", 400, "get_current_user_data", InstanceId=instance, Filters={})
good("dismiss_user_contact", InstanceId=instance, UserId=busy, ContactId="contact-MISSED")
bad("InvalidRequestException", 400, "dismiss_user_contact", InstanceId=instance, UserId=busy, ContactId="contact-CONNECTED")

quick = dict(InstanceId=instance, Name="Nikki", Tags={"a": "c"},
             QuickConnectConfig={"QuickConnectType": "USER", "UserConfig": {"UserId": user, "ContactFlowId": flow}})
made = good("create_quick_connect", **quick)
bad("DuplicateResourceException", 409, "create_quick_connect", **quick)
to = dict(InstanceId=instance, QuickConnectId=made["QuickConnectId"])
expect("quick connect", good("describe_quick_connect", **to)["QuickConnect"]["QuickConnectARN"], made["QuickConnectARN"])
bad("ResourceNotFoundException", 404, "describe_quick_connect", InstanceId=instance, QuickConnectId=GONE)
expect("users", len(good("list_quick_connects", InstanceId=instance, QuickConnectTypes=["USER"])["QuickConnectSummaryList"]), 1)
bad("ResourceNotFoundException", 404, "list_quick_connects", InstanceId=GONE)
found = good("search_quick_connects", InstanceId=instance)["QuickConnects"]
expect("leads to", found[0]["QuickConnectConfig"]["UserConfig"]["UserId"], user)
bad("InvalidParameterException", 400, "search_quick_connects", InstanceId=instance, SearchCriteria=unknown)
with_a = {"TagSearchCondition": {"tagKey": "a", "tagKeyComparisonType": "STARTS_WITH"}}
expect("tags", good("search_resource_tags", InstanceId=instance, ResourceTypes=["agent", "transfer-destination"], SearchCriteria=with_a)["Tags"],
       [{"key": "a", "value": "c"}, {"key": "a b", "value": "ü"}])
bad("InvalidParameterException", 400, "search_resource_tags", InstanceId=instance, ResourceTypes=["shoe"])
good("delete_quick_connect", **to)
bad("ResourceNotFoundException", 404, "delete_quick_connect", **to)

good("delete_user", **at)
bad("ResourceNotFoundException", 404, "delete_user", **at)

left = set(json.loads(operations)) - driven
if left:
    sys.exit(f"not driven: {sorted(left)}")
